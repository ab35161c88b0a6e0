"""Whether the C library keeps freed memory: it does between the runs of a session, and returns it in a pause."""

import ctypes

_library = ctypes.CDLL(None)
_trim = getattr(_library, "malloc_trim", None)
_set = getattr(_library, "mallopt", None)
"""Functions of the GNU C library; other C libraries lack them."""

# From its malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_NEVER = -1
_VERY_LARGE_BYTES = 32 << 20
"""The maximum of the threshold. Blocks for more than 10 s of audio exceed it, a few in each run."""


def share_one_heap() -> None:
    """Let all threads allocate from one heap, so that memory freed by one serves the others.

    Large models compute in one thread at a time, and a heap for each thread would keep its own freed memory.
    """
    if _set is not None:
        _set(_ARENA_MAX, 1)


def keep_freed() -> None:
    """Keep freed memory until `give_back`, including large blocks but not very large ones.

    By default the C library gets every large block from the system and returns it, and the system clears each page at its
    first write: 0.16 to 0.6 s of system time in 2.3 s of the encoder (600 million parameters, 30 s of audio). Very large
    blocks leave holes that no later block fits in: keeping them costs 130 MB more in int8, and saves 0.1 s.
    """
    if _set is not None:
        _set(_MMAP_THRESHOLD, _VERY_LARGE_BYTES)
        _set(_TRIM_THRESHOLD, _NEVER)


def give_back() -> None:
    """Return free memory to the system; the C library keeps much of it by default. Blocks for about 0.1 s.

    Measured: 600 MB after a large model was closed, and 250 MB after its int8 weights were loaded.
    """
    if _trim is not None:
        _trim(0)
