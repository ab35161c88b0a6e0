"""The daemon with a deliberate fault, to prove that the chaos run and the soak notice it.

Run it as a module, with COLDVOX_TEST_BROKEN set to the fault: see `Fault`.
"""

import argparse
import asyncio
import os
import threading
from enum import StrEnum
from pathlib import Path
from typing import Any

from coldvoxd import settings_file
from coldvoxd.assembly.build import build
from coldvoxd.assembly.parts import Parts
from coldvoxd.bus.connection import Connection
from coldvoxd.command import set_up_logging
from coldvoxd.core.ports import Announcer
from coldvoxd.core.values import Transcript
from coldvoxd.daemon import Daemon

VARIABLE = "COLDVOX_TEST_BROKEN"
KEPT_BYTES = 1 << 20


class Fault(StrEnum):
    DROPS = "every second text is not published"
    DOUBLES = "every text is published twice, the second time under another number"
    SWALLOWS_GAPS = "lost audio is not counted"
    LEAKS_FILES = "each session leaves a descriptor open"
    LEAKS_THREADS = "each session leaves a thread behind"
    LEAKS_MEMORY = "each session leaves 1 MiB behind"


def break_parts(parts: Parts, fault: Fault) -> None:
    """Inject the fault between the dictation controller and its clients."""
    parts.dictation.announce_to(_Announcer(parts.bus.announcer, fault))
    if fault is Fault.SWALLOWS_GAPS:
        parts.metrics.gap = lambda reason: None  # type: ignore[method-assign] # noqa: ARG005 - the caller's name


class _Announcer:
    """An Announcer that wraps another one."""

    def __init__(self, to: Announcer, fault: Fault) -> None:
        self._to = to
        self._fault = fault
        self._count = 0
        self._kept: list[object] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._to, name)

    def transcribed(self, transcript: Transcript, with_words: bool, to: str | None) -> None:
        self._count += 1
        if self._fault is Fault.DROPS and self._count % 2:
            return
        self._to.transcribed(transcript, with_words, to)
        if self._fault is Fault.DOUBLES:
            again = {name: getattr(transcript, name) for name in transcript.__dataclass_fields__}
            self._to.transcribed(Transcript(**again | {"utterance_id": transcript.utterance_id + 1}), with_words, to)

    def dictation_started(self, session: int) -> None:
        match self._fault:
            case Fault.LEAKS_FILES:
                self._kept.append(os.open(os.devnull, os.O_RDONLY))
            case Fault.LEAKS_THREADS:
                threading.Thread(target=threading.Event().wait, daemon=True).start()
            case Fault.LEAKS_MEMORY:
                self._kept.append(os.urandom(KEPT_BYTES))
        self._to.dictation_started(session)


async def serve() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    config = parser.parse_args().config
    chosen = settings_file.load(config)
    set_up_logging(chosen.log.level)
    parts = build(chosen, await Connection.open(), lambda: settings_file.load(config))
    break_parts(parts, Fault(os.environ[VARIABLE]))
    await Daemon(parts).serve()


if __name__ == "__main__":
    asyncio.run(serve())
