"""Distinguishes a lack of memory or threads from a model that cannot be loaded: native code reports both as text."""

import errno

_MEMORY = ("bad_alloc", "Failed to allocate memory", "Cannot allocate memory")
_THREADS = ("pthread_create failed", "can't start new thread")
"""Messages of ONNX Runtime and CPython, as observed with RLIMIT_AS and RLIMIT_NPROC (onnxruntime-gpu 1.31.1)."""

MEMORY = (
    "There is not enough memory to load the model: free some memory, or set `precision` under [model] to `int8`, which takes a "
    "quarter of it. A limit of the service counts too (MemoryMax, LimitAS)."
)
THREADS = (
    "No more threads can be started to load the model: raise the limit of the service or of the user (TasksMax, "
    "LimitNPROC, `ulimit -u`), or set `threads` under [model] lower."
)


def shortage(error: BaseException) -> str:
    """Return what the machine lacks and the remedy, if that is why `error` was raised; otherwise empty."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY):
        return MEMORY
    if isinstance(error, OSError):
        return MEMORY if error.errno == errno.ENOMEM else ""
    return THREADS if any(words in text for words in _THREADS) else ""
