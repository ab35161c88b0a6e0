"""A small Parakeet TDT, from text grammar to quantized ONNX files."""
