"""Simulated hardware for tests and demonstrations, controlled over a socket."""
