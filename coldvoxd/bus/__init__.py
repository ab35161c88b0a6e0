"""The D-Bus service, its client, and all code that depends on the bus library."""
