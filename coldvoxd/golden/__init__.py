"""The recording by which an execution provider is judged."""
