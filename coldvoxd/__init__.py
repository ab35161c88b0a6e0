"""coldvoxd: dictation for the whole Linux desktop."""

__version__ = "0.1.0"
