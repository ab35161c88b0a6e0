"""Dictation sessions: from captured audio through utterances and their recognition to published texts."""
