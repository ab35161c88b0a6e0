"""The edit distance between two texts, in words."""

from collections.abc import Sequence


def edit_distance(recognized: Sequence[str], reference: Sequence[str]) -> int:
    """Return the number of insertions, deletions and substitutions between two sequences of words (Levenshtein)."""
    row = list(range(len(reference) + 1))
    for number, word in enumerate(recognized, 1):
        diagonal, row[0] = row[0], number
        for place, expected in enumerate(reference, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != expected))
    return row[-1]
