"""Cancellation of a recognition."""

import contextlib
from collections.abc import Callable, Iterator

from coldvoxd.core.errors import Stopped


class CancellationToken:
    """Requests that a recognition end early. Any thread may ask at any time. Not reusable: one token per recognition.

    There is no lock: `ask` sets the flag before it reads the listeners, and `heard_by` adds its listener before it
    reads the flag, so at least one of them sees the other.
    """

    __slots__ = ("_asked", "_listeners")

    def __init__(self) -> None:
        self._asked = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Request cancellation without waiting. The recognition soon ends with Stopped, unless it finishes before."""
        self._asked = True
        for listener in tuple(self._listeners):
            listener()

    def check(self) -> None:
        """Raise Stopped if cancellation was requested."""
        if self._asked:
            raise Stopped("The recognition was cancelled.")

    @contextlib.contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Within the context, call `listener` when cancellation is requested or has been.

        The call may be on any thread, may happen twice, and may come shortly after the context ends.
        """
        self._listeners.append(listener)
        try:
            if self._asked:
                listener()
            yield
        finally:
            self._listeners.remove(listener)
