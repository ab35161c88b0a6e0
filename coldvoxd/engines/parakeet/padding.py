"""The few lengths to which audio is padded on an accelerator, since libraries tune themselves anew for each length they meet.

What is padded lies behind the length that the model is told, and it leaves that out: tokens stay what they were. Not so with
int8, whose graphs take their ranges from all that they are given.
"""

HOPS_A_SECOND = 100
SECONDS = (1, 2, 3, 4, 6, 8, 12, 16, 20)
"""A bit more work, half of it again at most past the first; nearly all utterances end before the last."""
STEP = 4
"""Seconds from one to the next past the last."""


def padded(columns: int) -> int:
    """To how many feature columns of 10 ms so many are padded."""
    for seconds in SECONDS:
        if columns <= seconds * HOPS_A_SECOND:
            return seconds * HOPS_A_SECOND
    step = STEP * HOPS_A_SECOND
    return -(-columns // step) * step
