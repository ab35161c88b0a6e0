"""What the C library does with memory that was freed: kept from one run to the next, given back in a pause."""

import ctypes

_library = ctypes.CDLL(None)
_trim = getattr(_library, "malloc_trim", None)
_set = getattr(_library, "mallopt", None)
"""The GNU C library's; others have none."""

# From its malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = -1
_VERY_LARGE_BYTES = 32 << 20
"""The highest that it takes as a threshold: blocks as they are needed for more than 10 s of audio, a handful to a run."""


def share_one_heap() -> None:
    """Threads that allocate from now on do it in one place, so that what one has freed serves the others.

    Large models compute in one thread at a time; a heap for each would keep its own.
    """
    if _set is not None:
        _set(_ARENA_MAX, 1)


def keep_freed() -> None:
    """Keep what is freed, large blocks too unless they are very large, until `give_back`.

    By itself the C library gets every large block from the system and gives it back, and the system clears each page when
    it is first written: 0.16 to 0.6 s of sys time in 2.3 s of the encoder's (600 million parameters, 30 s of audio).
    Very large blocks leave holes that none of the next fits in: kept too, they cost 130 MB more there, in int8, for 0.1 s less.
    """
    if _set is not None:
        _set(_MMAP_THRESHOLD, _VERY_LARGE_BYTES)
        _set(_TRIM_THRESHOLD, _NEVER)


def give_back() -> None:
    """Let the C library part with what is free; by itself it keeps much of what a model took. Blocks for some 0.1 s.

    Measured: 600 MB of a large model that was closed, and 250 MB that the loading of its int8 weights left behind.
    """
    if _trim is not None:
        _trim(0)
