"""Code without I/O: values, errors, protocols, state machines and signal processing."""
