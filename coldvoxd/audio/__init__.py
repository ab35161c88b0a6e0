"""Audio input: microphones and files."""
