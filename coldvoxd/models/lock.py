"""A lock between processes, so that one at a time changes the cache."""

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(directory: Path, name: str, if_taken: Callable[[], None]) -> Iterator[None]:
    """Hold the lock `name`. If another process holds it, call `if_taken`, which may raise, and wait."""
    with (directory / f".{name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if_taken()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
