"""Reading and rewriting ONNX files."""
