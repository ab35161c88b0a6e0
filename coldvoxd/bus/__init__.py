"""The session bus: everything that knows the bus library."""
