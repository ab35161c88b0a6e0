"""The first number of sessions, utterances and file jobs."""

import time

NUMBERS_PER_SECOND = 8
"""Upper bound of the sessions or utterances that can start per second over a longer time."""


def first_number() -> int:
    """Return a number greater than all numbers of earlier processes of this login.

    It is derived from the clock that neither stops nor goes back between two boots, so nothing has to be stored.
    """
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * NUMBERS_PER_SECOND) + 1
