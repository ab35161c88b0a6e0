"""The graphics card's health, read through NVIDIA's management library."""
