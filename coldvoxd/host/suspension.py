"""Suspension: what the daemon does before the machine sleeps and after it has woken up."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from coldvoxd.core.recognition_state import SystemResumed

TEXTS_AT_SLEEP_S = 1.0
"""Seconds to wait for texts before the machine sleeps. Later texts come after the wake: memory survives a sleep."""


class Dictation(Protocol):
    def on_suspend(self) -> None: ...

    def on_wake(self) -> None: ...

    async def drained(self) -> None:
        """Return once the session that is ending has all its texts."""


class Microphone(Protocol):
    def on_sleep(self, asleep: bool) -> None: ...

    async def released(self) -> None:
        """Return once the microphone is closed."""


class Recognition(Protocol):
    async def suspend(self) -> None:
        """Release the accelerator, whose memory may not survive the sleep."""

    def handle(self, event: SystemResumed) -> None: ...


class Suspension:
    """Ends a session, releases accelerator and microphone, and resumes both after the wake. Event loop only."""

    def __init__(
        self, dictation: Dictation, microphone: Microphone, recognition: Recognition, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is called after the wake."""
        self._dictation = dictation
        self._microphone = microphone
        self._recognition = recognition
        self._on_change = on_change

    async def prepare(self) -> None:
        """End the session and release the hardware, then return: the machine may sleep."""
        self._dictation.on_suspend()
        self._microphone.on_sleep(True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TEXTS_AT_SLEEP_S):
                await self._dictation.drained()
        await self._recognition.suspend()
        await self._microphone.released()

    def resume(self) -> None:
        """Resume after the machine has woken up."""
        self._recognition.handle(SystemResumed())
        self._dictation.on_wake()
        self._microphone.on_sleep(False)
        self._on_change()
