"""NVIDIA Parakeet TDT on ONNX Runtime."""
