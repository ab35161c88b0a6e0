"""The edit distance between two texts, in words."""

from collections.abc import Sequence


def edit_distance(recognized: Sequence[str], reference: Sequence[str]) -> int:
    """Return the number of insertions, deletions and substitutions between two sequences of words (Levenshtein)."""
    return distances_to_beginnings(recognized, reference)[-1]


def distances_to_beginnings(recognized: Sequence[str], reference: Sequence[str]) -> list[int]:
    """Return the edit distances between `recognized` and the first 0, 1, ... words of `reference`."""
    row = list(range(len(reference) + 1))
    for number, word in enumerate(recognized, 1):
        diagonal, row[0] = row[0], number
        for place, expected in enumerate(reference, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != expected))
    return row
