"""The GPU's health, read through NVML, NVIDIA's management library."""
