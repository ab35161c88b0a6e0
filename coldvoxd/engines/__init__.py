"""Recognizers behind one Protocol."""
