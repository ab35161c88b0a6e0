"""Warming: an accelerator runs each length of audio once before the first utterance of that length comes."""

import asyncio
import logging
from collections.abc import Sequence

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.recognition.worker import RecognizerWorker

log = logging.getLogger(__name__)


class Warmup:
    """One length after the other, so that what is said meanwhile waits for one at most, and has the CPU. Event loop only."""

    def __init__(self, accelerator: RecognizerWorker, lengths_s: Sequence[float]) -> None:
        self._accelerator = accelerator
        self._lengths_s = lengths_s
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The accelerator serves from now on."""
        self.end()
        if self._lengths_s:
            self._task = asyncio.create_task(self._warm(), name="warming")

    def end(self) -> None:
        """It does no more; a run in hand is left to it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _warm(self) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for length_s in self._lengths_s:
            try:
                await self._accelerator.warm(length_s)
            except ColdvoxError as fault:  # the next utterance meets it too, and tells
                log.info("%s could not be warmed up for %g s of audio: %s", self._accelerator.name, length_s, fault)
                return
        log.info("%s is warmed up for every length, after %.1f s", self._accelerator.name, loop.time() - began_s)
