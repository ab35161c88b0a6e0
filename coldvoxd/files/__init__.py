"""Transcription of recordings: jobs and their order, speech detection, and cutting into pieces."""
