"""Shortcuts of the desktop that dictate: one module for each desktop, and the command that sets them up."""
