"""Sound in: microphones and files."""
