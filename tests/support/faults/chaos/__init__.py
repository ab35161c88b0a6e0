"""The chaos run: random faults of everything around a real daemon, and the invariants that must hold. See `run`."""
