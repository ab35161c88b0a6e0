"""Small plots in a line of text: how often values fell into classes."""

from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:-=+*%#"


def bars(counts: Sequence[int], *, ascii_only: bool = False) -> str:
    """A letter for each count, the higher the greater; what is not nought is never blank."""
    letters = ASCII if ascii_only else BLOCKS
    most = max(counts, default=0)
    if not most:
        return letters[0] * len(counts)
    steps = len(letters) - 1
    return "".join(letters[-(-count * steps // most)] for count in counts)


def extent(rows: Sequence[Sequence[int]]) -> tuple[int, int]:
    """First class that holds something in any row, and one past the last; the same twice where nothing does."""
    filled = [index for row in rows for index, count in enumerate(row) if count]
    return (min(filled), max(filled) + 1) if filled else (0, 0)
