"""Measures a model on the machine of its owner within a time budget, and writes a report without personal data; coldvoxctl only."""
