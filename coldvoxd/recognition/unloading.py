"""Takes the model out of memory after `unload_after_s` without use, and loads it again when a session begins."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from coldvoxd.core.recognition_state import ModelNeeded, ModelUnneeded, RecognitionState

log = logging.getLogger(__name__)

SHORTEST_CHECK_S, LONGEST_CHECK_S = 0.02, 5.0
"""Bounds of the interval in seconds between two checks."""


class UnloadableRecognition(Protocol):
    """What this needs of recognition. Event loop only."""

    @property
    def state(self) -> RecognitionState:
        """Its engine is ready once a model has been loaded, and stays so when that is released."""

    def handle(self, event: ModelNeeded | ModelUnneeded) -> None:
        """Load the model, or release it with its memory."""


class Unloading:
    """Event loop only. `busy_until_s` returns the loop time of the last use, infinity during one."""

    def __init__(self, after_s: float, recognition: UnloadableRecognition, busy_until_s: Callable[[], float]) -> None:
        self._after_s = after_s
        self._recognition = recognition
        self._busy_until_s = busy_until_s
        self._changed = asyncio.Event()
        self._unloaded_s: float | None = None
        """Loop time at which the model was unloaded; None if it was used since."""

    def use_settings(self, after_s: float) -> None:
        """Use this number of seconds from now on. The model may have been loaded again."""
        self._after_s = after_s
        self._unloaded_s = None
        self._changed.set()

    async def keep(self) -> None:
        """Unload the model whenever it was not used for long enough, until cancelled."""
        loop = asyncio.get_running_loop()
        last_s = loop.time()
        while True:
            self._changed.clear()
            interval_s = min(LONGEST_CHECK_S, max(SHORTEST_CHECK_S, self._after_s / 4)) if self._after_s else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await self._changed.wait()
            after_s, engine = self._after_s, self._recognition.state.engine
            last_s = max(last_s, min(loop.time(), self._busy_until_s()))
            if not engine.ready or engine.is_fallback:
                last_s = loop.time()  # it is being downloaded or loaded, which may take longer than `after_s`
            if self._unloaded_s is not None and last_s > self._unloaded_s:
                self._unloaded_s = None  # what is recognized loads the model by itself
            if after_s and self._unloaded_s is None and loop.time() - last_s >= after_s:
                self._unloaded_s = loop.time()
                self._recognition.handle(ModelUnneeded())
                log.info("no dictation for %.0f s: the model left memory until the next session", loop.time() - last_s)

    def needed(self) -> None:
        """A session begins: load the model while the user speaks, if it was unloaded."""
        if self._unloaded_s is not None:
            self._unloaded_s = None
            self._recognition.handle(ModelNeeded())
