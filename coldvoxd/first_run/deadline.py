"""The time that a step of a first run may take, and its progress."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Deadline:
    """Ends a step after its time. `report` receives the completed share of the step, 0..1. One thread."""

    def __init__(
        self,
        seconds: float,
        report: Callable[[float], None] = lambda _share: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._begin_s = clock()
        self._seconds = seconds
        self._report = report

    @property
    def is_over(self) -> bool:
        """Whether the time has passed."""
        return self._clock() - self._begin_s >= self._seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left, 0 if none are."""
        return max(0.0, self._begin_s + self._seconds - self._clock())

    def each(self, items: Sequence[Item]) -> Iterator[Item]:
        """Yield items until the time is over, at least the first one."""
        for done, item in enumerate(items):
            if done and self.is_over:
                return
            self.done(done / len(items))
            yield item

    def done(self, share: float) -> None:
        """Report a share of the work; that of the time counts if it is larger."""
        passed = (self._clock() - self._begin_s) / self._seconds if self._seconds > 0 else 1.0
        self._report(min(1.0, max(share, passed)))


def share_of(done: int, wanted: Iterable[object]) -> str:
    """Return `12 of 18` if not all were done, otherwise an empty text."""
    count = len(list(wanted))
    return f"{done} of {count}" if done < count else ""
