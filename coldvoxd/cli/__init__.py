"""The command-line client coldvoxctl."""
