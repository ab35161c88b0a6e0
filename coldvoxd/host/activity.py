"""Activity: when parts of the daemon were last busy in a way that a new process or a GPU release would disturb."""

import math
from collections.abc import Callable


class Activity:
    """Queries every part that may be busy. Event loop only."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], float]] = []

    def follow(self, busy_until_s: Callable[[], float]) -> None:
        """Include a part that returns the loop time at which it was last busy, infinity while it is busy."""
        self._sources.append(busy_until_s)

    def follow_idle(self, is_idle: Callable[[], bool]) -> None:
        """Include a part that returns only whether it is idle now."""
        self._sources.append(lambda: -math.inf if is_idle() else math.inf)

    def busy_until_s(self) -> float:
        """Return the loop time at which any part was last busy: infinity while one is, minus infinity if none was."""
        return max((source() for source in self._sources), default=-math.inf)
