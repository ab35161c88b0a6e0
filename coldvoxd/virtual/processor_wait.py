"""How long a thread has waited for a processor, by the kernel's count."""

import os
from typing import Self


class ProcessorWait:
    """The waiting time of the thread that enters the context. That thread only."""

    def __enter__(self) -> Self:
        try:
            self._descriptor = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a kernel without CONFIG_SCHED_INFO
            self._descriptor = -1
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def seconds(self) -> float:
        """Return the seconds in which the thread was ready to run but did not, since it began; always 0 if unknown."""
        if self._descriptor < 0:
            return 0.0
        return int(os.pread(self._descriptor, 128, 0).split()[1]) / 1e9
