"""coldvoxctl."""
