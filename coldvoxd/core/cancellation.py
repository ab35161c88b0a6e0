"""A request that one recognition end early."""

import contextlib
from collections.abc import Callable, Iterator

from coldvoxd.core.errors import Stopped


class CancellationToken:
    """Any thread may ask, at any time; what is asked stays asked. One for each recognition.

    No lock: whoever asks sets the mark before it looks for listeners, and whoever listens does so before it looks for
    the mark, so at least one of them sees the other.
    """

    __slots__ = ("_asked", "_listeners")

    def __init__(self) -> None:
        self._asked = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Returns at once; the recognition ends soon after, with Stopped, unless it has come to its end before."""
        self._asked = True
        for listener in tuple(self._listeners):
            listener()

    def check(self) -> None:
        """Raise Stopped where it was asked."""
        if self._asked:
            raise Stopped("The recognition was cancelled.")

    @contextlib.contextmanager
    def heard_by(self, listener: Callable[[], None]) -> Iterator[None]:
        """Inside, `listener` is called when somebody asks or has asked; on any thread, perhaps twice, perhaps a little late."""
        self._listeners.append(listener)
        try:
            if self._asked:
                listener()
            yield
        finally:
            self._listeners.remove(listener)
