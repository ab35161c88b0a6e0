"""Word errors between a reference and what was recognized."""

from __future__ import annotations


def edit_distance(recognized: list[str], reference: list[str]) -> int:
    """Insertions, deletions and substitutions that turn one list into the other (Levenshtein)."""
    row = list(range(len(recognized) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(recognized, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != expected))
    return row[-1]


def word_errors(recognized: str, reference: str) -> int:
    """Errors counted in words as written: case and punctuation matter."""
    return edit_distance(recognized.split(), reference.split())
