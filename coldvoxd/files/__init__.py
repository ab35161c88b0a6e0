"""Recordings beside dictation: jobs, their order, where they hold speech, and their transcription."""
