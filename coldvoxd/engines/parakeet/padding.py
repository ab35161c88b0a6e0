"""The few lengths to which audio is padded on an accelerator, because libraries tune themselves for each new length.

The model masks the padding, which follows the length that it is given, so the tokens do not change. In int8 they would: its
graphs take their ranges from all columns.
"""

HOPS_A_SECOND = 100
SECONDS = (1, 2, 3, 4, 6, 8, 12, 16, 20)
"""Lengths in seconds. Past the first the work grows by half at most; nearly all utterances are shorter than the last."""
STEP = 4
"""Seconds between two lengths beyond the last."""


def padded(columns: int) -> int:
    """The number of feature columns of 10 ms to which `columns` are padded."""
    for seconds in SECONDS:
        if columns <= seconds * HOPS_A_SECOND:
            return seconds * HOPS_A_SECOND
    step = STEP * HOPS_A_SECOND
    return -(-columns // step) * step
