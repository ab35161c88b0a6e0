"""Crash recovery: the runtime directory holds the audio of active sessions, and the next process recognizes it."""
