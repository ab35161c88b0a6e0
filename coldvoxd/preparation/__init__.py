"""Rewrites a model into the prepared form that the CPU maps instead of loading. Used by coldvoxctl only."""
