"""Faults of everything around the daemon, injected into the real parts, and their effects."""
