"""Recordings in formats that `audio` does not read, decoded with ffmpeg's libraries. Used by coldvoxctl only."""
