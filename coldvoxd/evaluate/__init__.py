"""Measures word error rates on recordings whose texts are known; for coldvoxctl only, without any network access."""
