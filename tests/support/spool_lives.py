"""Processes that share a spool: each may die, and the next one takes it over."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from coldvoxd.core.seams import NO_SEAMS
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.crash_recovery.replay import Replay
from coldvoxd.crash_recovery.spool import Spool
from tests.support.dictation_scene import Announced, CountingEngine, Scene

BUS, CALLER = "guid", ":1.1"


_FIRST_NUMBERS = itertools.count(100, 100)


class Taken(Announced):
    """A bus that accepts messages when the test permits it."""

    def __init__(self) -> None:
        super().__init__()
        self.taking = True
        self.waiting: list[Callable[[], None]] = []

    def when_accepted(self, then: Callable[[], None]) -> None:
        if self.taking:
            then()
        else:
            self.waiting.append(then)


@dataclass
class CpuEngine(CountingEngine):
    """The scripted recognizer, as used by recovery."""

    told: list[str] = field(default_factory=list)
    deadly: bool = False
    """Whether recognition ends the process."""

    async def wait_loaded(self) -> None:
        self.check_ready()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        if self.deadly:
            raise Died
        return await self.recognize(utterance)

    def report_error(self, message: str) -> None:
        self.told.append(message)


class Died(BaseException):
    """Simulates SIGKILL within one process: no code after it runs."""


class Life:
    """One process of the daemon as seen by the spool; `die` ends it without cleaning up."""

    def __init__(self, directory: Path, present: tuple[str, ...] = (CALLER,), bus: str = BUS) -> None:
        self.told: list[str] = []
        self.scene = Scene()
        first_number = next(_FIRST_NUMBERS)  # as the clock gives them
        self.scene.pipeline._session_numbers = itertools.count(first_number)
        self.scene.pipeline._utterance_numbers = itertools.count(first_number)
        self.scene.announced = Taken()
        self.scene.pipeline.announce_to(self.scene.announced)
        self.engine = CpuEngine()
        self.engine.gate.set()
        self.spool = Spool(directory, bus, self.told.append)
        self.scene.pipeline.keep_in(self.spool)
        self.present = present
        self.bus = bus
        self.seam_rules = NO_SEAMS
        self.announced = self.scene.announced

    def recovery(self) -> Replay:
        async def is_here(session: SpooledSession) -> bool:
            return session.bus == self.bus and session.caller in self.present

        return Replay(
            self.spool.interrupted_sessions(),
            self.engine,
            self.announced,
            is_here=is_here,
            next_number=self.scene.pipeline.next_utterance,
            keep=self.scene.last.keep_earlier,
            seam_rules=self.seam_rules,
            model_retry_s=0.01,
        )

    async def recover(self) -> list[tuple[object, ...]]:
        """Return what is published of the previous process's sessions."""
        await self.recovery().run()
        return self.announced.seen

    def die(self) -> None:
        self.spool.close()


@asynccontextmanager
async def life(directory: Path) -> AsyncIterator[Life]:
    """Yield a process that recognizes speech until it dies at the end of the block."""
    lived = Life(directory)
    running = asyncio.create_task(lived.scene.pipeline.run())
    try:
        yield lived
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        lived.die()


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != "lock")


def texts(seen: list[tuple[object, ...]]) -> list[object]:
    return [event[2] for event in seen if event[0] == "text"]


async def speak_privately(directory: Path, **options: bool) -> int:
    async with life(directory) as first:
        session = first.scene.start(CALLER, **options)
        first.scene.hear(2000, 10)
    return session
