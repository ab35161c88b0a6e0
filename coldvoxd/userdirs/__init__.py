"""The user's directories: XDG base directories, and private ones that others cannot write to."""
