"""The golden clip: the recording that verifies an execution provider, and the stored results of the CPU."""
