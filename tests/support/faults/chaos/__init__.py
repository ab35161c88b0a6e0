"""The chaos run: random faults of everything around a real daemon, and what must hold all the same. See `run`."""
