"""Desktop shortcuts for dictation: one module for each desktop, and the command that sets them up."""
