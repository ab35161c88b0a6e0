"""Makes the real service re-execute itself, and counts what its clients notice.

Runs inside a login (see tests.support.login.inside): python -m tests.support.faults.renewing --times 50 [--seed 1]
"""

import argparse
import asyncio
import re
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coldvoxd.bus.connection import session_address
from coldvoxd.bus.interface_xml import BUS_NAME, ENGINE
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.virtual.accelerator import PROVIDER
from tests.support.bus.private_bus import BusClient, BusError
from tests.support.daemon.published import texts_of
from tests.support.login.inside import Said, Scene, report, scene, sentences

CALL_EVERY_S = 0.05
BLIND = re.compile(r"unheard for ([\d.]+) s")


@dataclass(slots=True)
class Calls:
    """A client that reads a property at a fixed rate, and records failures and the longest call."""

    count: int = 0
    failed: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        async with BusClient(session_address()) as client:
            while True:
                called_s = loop.time()
                await self.watched(client.get(ENGINE, "Degraded"))
                self.longest_s = max(self.longest_s, loop.time() - called_s)
                await asyncio.sleep(CALL_EVERY_S)

    async def watched(self, call: Any) -> Any:
        self.count += 1
        try:
            async with asyncio.timeout(25):
                return await call
        except (BusError, ColdvoxError, TimeoutError) as error:
            self.failed.append(f"{type(error).__name__} {error}")
            print(self.failed[-1], file=sys.stderr, flush=True)
            return None


class Renewals:
    def __init__(self, stage: Scene, calls: Calls) -> None:
        self.stage = stage
        self.calls = calls
        self.last = (0, 0)
        """Numbers of the last session and the last utterance."""
        self.notes: list[str] = []
        self.held = 0
        """Sessions requested while the name had no owner."""

    async def round(self) -> None:
        stage = self.stage
        await self._dictate(on=PROVIDER)
        await stage.command("gpu", "FAULT illegal")
        await self._dictate(on="CPUExecutionProvider")
        before = await self._utterances()
        retried = str(await self.calls.watched(stage.witness.call("RetryLast")))
        owner = await self._owner()

        async def gone() -> bool:
            return await self._owner() != owner

        await stage.until(gone, "the moment of the replacement")
        began = 0
        if stage.chance.random() < 0.5:
            self.held += 1
            began = await self._dictate(on=None)

        async def back() -> bool:
            return bool(await self.calls.watched(stage.provider()) == PROVIDER)

        await stage.until(back, "the accelerator in a new process")
        again = str(await self.calls.watched(stage.witness.call("RetryLast")))
        if not began and again != retried:
            self.notes.append(f"RetryLast said {retried!r}, and {again!r} after the replacement")
        counted = await self._utterances() - before
        if counted != began:
            self.notes.append(f"{counted} utterances were counted where {began} continued")

    async def _utterances(self) -> int:
        """Return the number of utterances in GetMetrics."""
        figures = await self.calls.watched(self.stage.witness.call("GetMetrics", interface=ENGINE))
        return int(figures["utterances"].value) if figures else 0

    async def _owner(self) -> str:
        try:
            return str(await self.stage.ask_bus("GetNameOwner", BUS_NAME))
        except BusError:
            return ""

    async def _dictate(self, on: str | None) -> int:
        """Dictate one sentence, and check its text and that numbers increase; return the number of utterances.

        `on` is the expected provider, if known.
        """
        stage = self.stage
        session = await self.calls.watched(stage.witness.call("StartDictation"))
        said: list[Said] = []
        await stage.speak(sentences(stage.chance, 1), said)
        await self.calls.watched(stage.witness.call("StopDictation"))
        await stage.witness.settle()
        got = texts_of(session or 0, stage.witness.signals)
        if not said[0].sample.is_in(got.joined):
            self.notes.append(f"session {session}: {said[0].sample.said!r} became {got.texts}")
        numbers = (session or 0, min(got.texts, default=0))
        if numbers <= self.last or numbers[1] <= self.last[1]:
            self.notes.append(f"numbers went from {self.last} to {numbers}")
        self.last = (session or 0, max(got.texts, default=0))
        providers = {
            signal.body[3]["provider"].value
            for signal in stage.witness.signals
            if signal.member == "Transcribed" and signal.body[0] == session
        }
        if on is not None and providers != {on}:
            self.notes.append(f"session {session} ran on {providers}, not on {on}")
        return len(got.texts)


async def renew(times: int, seed: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with scene(seed) as stage:
        calls = Calls()
        renewals = Renewals(stage, calls)

        async def ready() -> bool:
            return await stage.provider() == PROVIDER

        await stage.until(ready, "the accelerator")
        pid, restarts = await stage.show("MainPID"), await stage.show("NRestarts")
        calling = asyncio.create_task(calls.run())
        for number in range(times):
            await renewals.round()
            print(f"{number + 1} replacements", file=sys.stderr, flush=True)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        blind_s = [float(found) for found in BLIND.findall(await stage.journal())]
        same = (await stage.show("MainPID"), await stage.show("NRestarts")) == (pid, restarts)
        state = await stage.show("ActiveState")
        return {
            "replacements": len(blind_s),
            "calls": calls.count,
            "calls_failed": len(calls.failed),
            "longest_call_s": round(calls.longest_s, 2),
            "sessions_begun_while_away": renewals.held,
            "same_process_number_no_restart": same,
            "unit": state,
            "blind_s": {"median": statistics.median(blind_s or [0.0]), "most": max(blind_s, default=0.0)},
            "open_files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
            "seconds": round(loop.time() - began_s),
            "notes": calls.failed + renewals.notes,
            "passed": len(blind_s) == times and same and state == "active" and not calls.failed and not renewals.notes,
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return report(asyncio.run(renew(arguments.times, arguments.seed)))


if __name__ == "__main__":
    sys.exit(main())
