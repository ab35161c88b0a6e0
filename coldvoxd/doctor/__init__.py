"""The checks of `coldvoxctl doctor`, which work without a running daemon."""
