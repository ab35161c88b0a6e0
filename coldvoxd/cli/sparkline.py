"""Small histograms in a line of text."""

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*%#"


def bars(counts: Sequence[int], *, ascii_only: bool = False) -> str:
    """One character per count, higher for greater counts; only zero is blank."""
    letters = ASCII if ascii_only else BLOCKS
    most = max(counts, default=0)
    if not most:
        return letters[0] * len(counts)
    steps = len(letters) - 1
    return "".join(letters[-(-count * steps // most)] for count in counts)


def extent(rows: Sequence[Sequence[int]]) -> tuple[int, int]:
    """The first bin that is not empty in every row, and one past the last; equal if all are empty."""
    filled = [index for row in rows for index, count in enumerate(row) if count]
    return (min(filled), max(filled) + 1) if filled else (0, 0)
