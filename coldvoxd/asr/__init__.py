"""Speech recognition: Parakeet TDT."""
