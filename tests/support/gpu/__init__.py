"""The fake of NVIDIA's library, and the checks of a real GPU."""
