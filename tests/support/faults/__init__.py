"""Faults of everything around the daemon, done to the real parts, and what came of them."""
