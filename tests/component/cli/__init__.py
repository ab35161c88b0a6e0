"""coldvoxctl as real processes."""
