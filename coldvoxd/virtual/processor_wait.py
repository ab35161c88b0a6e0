"""How long the threads of this process have waited for a processor, by the kernel's count."""

import os
from typing import Self

THREADS = "/proc/self/task"


class ProcessorWait:
    """The waiting time of all threads of the process. Use it in one thread only.

    Those of the others count because a thread that needs the interpreter's lock waits while the thread that holds it waits for
    a processor.
    """

    def __enter__(self) -> Self:
        self._files: dict[str, int] = {}
        self._counted_ns: dict[str, int] = {}
        self._total_ns = 0
        return self

    def __exit__(self, *_: object) -> None:
        for thread in tuple(self._files):
            self._forget(thread)

    def seconds(self) -> float:
        """Return the seconds for which threads were ready to run but did not, since they began; always 0 if unknown."""
        with os.scandir(THREADS) as entries:
            for entry in entries:
                if entry.name not in self._files:
                    self._watch(entry.name)
        for thread, file in tuple(self._files.items()):
            try:
                waited_ns = int(os.pread(file, 128, 0).split()[1])
            except OSError:  # the thread has ended
                self._forget(thread)
                continue
            self._total_ns += waited_ns - self._counted_ns[thread]
            self._counted_ns[thread] = waited_ns
        return self._total_ns / 1e9

    def _watch(self, thread: str) -> None:
        try:
            self._files[thread] = os.open(f"{THREADS}/{thread}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # the thread has ended, or a kernel without CONFIG_SCHED_INFO
            return
        self._counted_ns[thread] = 0

    def _forget(self, thread: str) -> None:
        os.close(self._files.pop(thread))
        del self._counted_ns[thread]
