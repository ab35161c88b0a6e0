"""Which known names a misspelled one may stand for."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.85
"""Least ratio of `difflib` that counts as similar: `model.nmae` has 0.9 to `model.name`, and 0.67 to `model.fetch`."""


def similar(name: str, known: Iterable[str], cutoff: float = CUTOFF) -> list[str]:
    """Return up to three of the known names that are spelled like `name`, the most similar first, regardless of case."""
    by_lower = {item.lower(): item for item in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=cutoff)]
