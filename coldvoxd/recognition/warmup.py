"""Warms up an accelerator: runs each audio length once, if possible before the first utterance of that length."""

import asyncio
import logging
from collections.abc import Sequence

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)


class Warmup:
    """Runs the lengths one after another, so that an utterance waits for at most one. Event loop only."""

    def __init__(self, accelerator: RecognizerWorker, lengths_s: Sequence[float]) -> None:
        self._accelerator = accelerator
        self._lengths_s = lengths_s
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start with the first length: the accelerator starts to serve."""
        self.end()
        if self._lengths_s:
            self._task = asyncio.create_task(self._run(), name="warmup")

    def end(self) -> None:
        """Start no further run. A run in progress is not interrupted."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for length_s in self._lengths_s:
            try:
                await self._accelerator.warm(length_s)
            except ColdvoxError as error:  # the next utterance reports it
                log.info("%s could not be warmed up for %g s of audio: %s", self._accelerator.name, length_s, error)
                return
        log.info("%s is warmed up for every length, after %.1f s", self._accelerator.name, loop.time() - began_s)
