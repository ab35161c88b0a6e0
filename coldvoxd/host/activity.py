"""Activity: until when a part of the daemon was busy in a way that a new process, or releasing the GPU, would disturb."""

import math
from collections.abc import Callable


class Activity:
    """Asks every part that may be busy. Event loop only."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], float]] = []

    def follow(self, busy_until_s: Callable[[], float]) -> None:
        """Take a part into account that knows the loop time at which it was busy last; infinity while it is busy."""
        self._sources.append(busy_until_s)

    def follow_idle(self, is_idle: Callable[[], bool]) -> None:
        """Take a part into account that knows only whether it is busy now."""
        self._sources.append(lambda: -math.inf if is_idle() else math.inf)

    def busy_until_s(self) -> float:
        """Loop time at which any part was busy last; infinity while one is, minus infinity where none ever was."""
        return max((source() for source in self._sources), default=-math.inf)
