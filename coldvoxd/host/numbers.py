"""Where the numbers of sessions, utterances and file jobs begin."""

import time

NUMBERS_PER_SECOND = 8
"""More sessions or utterances per second than can begin for long."""


def first_number() -> int:
    """A number past all that an earlier process of this login gave out.

    Taken from the clock that neither stops nor goes back between two boots, so nothing has to be stored.
    """
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * NUMBERS_PER_SECOND) + 1
