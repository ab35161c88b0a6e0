"""What surrounds native calls: ONNX Runtime sessions, call threads, malloc."""
