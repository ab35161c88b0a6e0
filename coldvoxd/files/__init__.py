"""Recordings beside dictation: jobs, their order, and their transcription."""
