"""Which pieces of a recording are encoded together: those of similar length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from coldvoxd.core.values import Utterance

MOST_PADDING = 0.25
"""Largest share of a piece's row that may be padding: the encoder computes padding like audio."""
LOOKAHEAD = 4
"""Groups from which pieces of similar length are chosen; their audio and encoder output are held, 1.3 + 1 MB for 20 s."""


@dataclass(slots=True)
class Together:
    """Pieces to encode together. The caller may replace them by the same ones with `encoded`."""

    pieces: tuple[Utterance, ...]


def together(steps: Iterator[Utterance | None], batch_size: Callable[[], int]) -> Iterator[Utterance | Together | None]:
    """Yield the steps in their order, and before some of them the groups in which they are encoded.

    `batch_size` returns the maximum size of a group at present; with 1 nothing is held back.
    """
    held: list[Utterance] = []
    for step in steps:
        size = batch_size()
        if step is None or (size == 1 and not held):
            yield step
            continue
        held.append(step)
        if len(held) >= LOOKAHEAD * size:
            yield from _grouped(held, size)
            held = []
    yield from _grouped(held, batch_size())


def one_by_one() -> int:
    """The batch size of a recognizer that takes one piece at a time."""
    return 1


def groups(lengths: Sequence[int], batch_size: int) -> list[tuple[int, ...]]:
    """Return the indices of each group of two to `batch_size` pieces of these lengths."""
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        group = found[-1] if found else []
        if group and len(group) < batch_size and lengths[index] >= (1 - MOST_PADDING) * lengths[group[0]]:
            group.append(index)
        else:
            found.append([index])
    return [tuple(sorted(group)) for group in found if len(group) > 1]


def _grouped(held: list[Utterance], batch_size: int) -> Iterator[Utterance | Together]:
    for group in groups([len(piece.samples) for piece in held], batch_size):
        one = Together(tuple(held[index] for index in group))
        yield one
        for index, piece in zip(group, one.pieces, strict=True):
            held[index] = piece
    yield from held
