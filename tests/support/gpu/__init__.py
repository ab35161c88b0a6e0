"""The stand-in for NVIDIA's library, and the checks of a real GPU."""
