"""Kills the real service at random moments of dictation, and counts its clients' losses.

Runs inside a login (see tests.support.login.inside): python -m tests.support.faults.crashing --times 100 [--seed 1]
"""

import argparse
import asyncio
import math
import os
import signal
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from coldvoxd.bus.connection import session_address
from coldvoxd.bus.library import Variant
from tests.support.bus.private_bus import BusClient, BusError
from tests.support.daemon.published import Texts, padded, texts_of
from tests.support.login.inside import Said, Scene, report, scene, sentences

MARGIN_S = 0.3
"""Seconds by which, on a busy machine, the microphone's thread answers before the daemon's loop has the audio."""
KINDS = ("speaking", "speaking", "after", "stopping", "twice", "cancelled", "private", "private-gone")
NOBODYS = {"cancelled", "private-gone", "private-left"}
"""Kinds of sessions whose text no client may receive after the crash; the last kind's owner leaves just before it."""


@dataclass(slots=True)
class Tally:
    count: Counter[str] = field(default_factory=Counter)
    recovery_s: list[float] = field(default_factory=list)
    closed: list[tuple[int, int, str]] = field(default_factory=list)
    """Sessions whose text no client may receive any more: number, index of the witness's first such signal, and
    kind."""
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)
        print(text, file=sys.stderr, flush=True)


class Crashes:
    def __init__(self, stage: Scene) -> None:
        self.stage = stage
        self.tally = Tally()
        self.last_session = 0

    async def round(self, kind: str) -> None:
        """Run one session with one crash (or two), and judge what its clients received."""
        stage, tally = self.stage, self.tally
        await stage.loaded()
        tally.count[kind] += 1
        async with BusClient(session_address()) as owner:
            session = await self._begin(kind, owner)
            said: list[Said] = []
            count = 1 if kind == "after" else 3
            speaking = asyncio.create_task(stage.speak(sentences(stage.chance, count), said))
            await self._until_the_moment(kind, owner, said)
            if kind == "private-gone" and stage.chance.random() < 0.3:
                await owner.leave()
                kind = "private-left"
            killed_s = asyncio.get_running_loop().time()
            await self._kill()
            if kind == "private-gone":
                await owner.leave()
            if kind in NOBODYS:
                tally.closed.append((session, len(stage.witness.signals), kind))
            if kind == "twice":
                await self._kill_again()
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)
            if kind not in {
                "cancelled",
                "private-left",
            }:  # the end of a discarded session may be published or not
                await self._see_the_end(kind, session, owner, said, killed_s)

    async def _begin(self, kind: str, owner: BusClient) -> int:
        options = {"private": Variant("b", True)} if kind.startswith("private") else {}
        session = int(await owner.call("StartDictationWithOptions", "a{sv}", options))
        if session <= self.last_session:
            self.tally.note(f"{kind}: session {session} after {self.last_session}")
            self.tally.count["numbers_back"] += 1
        self.last_session = session
        return session

    async def _see_the_end(self, kind: str, session: int, owner: BusClient, said: list[Said], killed_s: float) -> None:
        witness, tally = self.stage.witness, self.tally
        listener = owner if kind == "private" else witness
        reasons = {"caller-left"} if kind == "private-gone" else {"restarted", "stopped"}

        def ended() -> bool:
            return any(reason in reasons for reason, _ in texts_of(session, listener.signals).stops)

        await self.stage.until(ended, f"the end of session {session} ({kind})")
        tally.recovery_s.append(asyncio.get_running_loop().time() - killed_s)
        if kind != "private-gone":
            self._judge(kind, session, texts_of(session, listener.signals), said, killed_s)
        if kind.startswith("private"):
            await self.stage.until(lambda: texts_of(session, witness.signals).stops, f"the public end of {session}")
            public = texts_of(session, witness.signals)
            if public.texts or any(transcript for _, transcript in public.stops):
                tally.count["resurfaced"] += 1
                tally.note(f"{kind}: the public got texts of session {session}")

    async def _until_the_moment(self, kind: str, owner: BusClient, said: list[Said]) -> None:
        chance = self.stage.chance
        match kind:
            case "after":  # around the endpoint, recognition and delivery of one sentence
                await self.stage.until(lambda: said and said[0].heard_s < math.inf, "the end of the sentence")
                await asyncio.sleep(chance.uniform(0.1, 1.2))
            case "stopping":
                await asyncio.sleep(chance.uniform(1.0, 6.0))
                owner.call_and_forget("StopDictation")
                await asyncio.sleep(chance.uniform(0.0, 0.6))
            case "cancelled":
                await asyncio.sleep(chance.uniform(0.5, 5.0))
                await owner.call("CancelDictation")
                await asyncio.sleep(chance.uniform(0.0, 0.05))
            case _:
                await asyncio.sleep(chance.uniform(0.0, 9.0))

    async def _kill(self) -> None:
        number = self.stage.chance.choice((signal.SIGKILL, signal.SIGABRT))
        pid = await self.stage.pid()
        os.kill(pid, number)
        self.tally.count[number.name] += 1
        await self.stage.until(lambda: not _alive(pid), f"the end of process {pid}")

    async def _kill_again(self) -> None:
        """Kill the next process while it starts or recognizes the leftovers."""
        before = await self.stage.show("NRestarts")

        async def started() -> int:
            restarted = await self.stage.show("NRestarts") != before
            return int(await self.stage.show("MainPID")) if restarted else 0

        pid = await self.stage.until(started, "a restart")
        await asyncio.sleep(self.stage.chance.uniform(0.0, 4.0))
        os.kill(pid, signal.SIGKILL)
        self.tally.count["SIGKILL"] += 1
        await self.stage.until(lambda: not _alive(pid), f"the end of process {pid}")

    def _judge(self, kind: str, session: int, got: Texts, said: list[Said], killed_s: float) -> None:
        tally, words = self.tally, padded(got.joined)
        tally.count["pairs_dropped"] += got.doubles
        tally.count["retried"] += got.retried
        if list(got.texts) != sorted(got.texts):
            tally.count["out_of_order"] += 1
            tally.note(f"{kind}: session {session}: utterances {list(got.texts)}")
        at = -1
        for one in said:
            if one.heard_s > killed_s - MARGIN_S:
                continue
            tally.count["sentences"] += 1
            times = max(words.count(padded(text)) for text in (one.sample.said, one.sample.reference))
            found = max(words.find(padded(text)) for text in (one.sample.said, one.sample.reference))
            if times == 0:
                tally.count["lost"] += 1
                heard = killed_s - one.heard_s
                tally.note(
                    f"{kind}: session {session} lost {one.sample.said!r}, heard {heard:.2f} s before; {got.texts}"
                )
            elif times > 1:
                tally.count["doubled"] += 1
                tally.note(f"{kind}: session {session} doubled {one.sample.said!r}: {got.texts}")
            elif found < at:
                tally.count["out_of_order"] += 1
            at = max(at, found)

    def summary(self, seconds: float) -> dict[str, Any]:
        tally, signals = self.tally, self.stage.witness.signals
        for session, since, kind in tally.closed:
            later = texts_of(session, signals[since:])
            if later.texts or any(transcript for _, transcript in later.stops):
                tally.count["resurfaced"] += 1
                tally.note(f"{kind}: session {session} came back: {later}")
        bad = ("lost", "doubled", "out_of_order", "resurfaced", "numbers_back")
        return {
            "kills": tally.count["SIGKILL"] + tally.count["SIGABRT"],
            "SIGKILL": tally.count["SIGKILL"],
            "SIGABRT": tally.count["SIGABRT"],
            "rounds": {kind: tally.count[kind] for kind in dict.fromkeys(KINDS)},
            "sentences": tally.count["sentences"],
            **{name: tally.count[name] for name in bad},
            "retried": tally.count["retried"],
            "pairs_dropped": tally.count["pairs_dropped"],
            "kill_to_end_s": {
                "median": round(statistics.median(tally.recovery_s or [0.0]), 2),
                "most": round(max(tally.recovery_s, default=0.0), 2),
            },
            "seconds": round(seconds),
            "notes": tally.notes,
            "passed": not any(tally.count[name] for name in bad),
        }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def crash(times: int, seed: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with scene(seed) as stage:
        crashes = Crashes(stage)
        kinds: list[str] = []
        while crashes.tally.count["SIGKILL"] + crashes.tally.count["SIGABRT"] < times:
            if not kinds:
                kinds = list(KINDS)
                stage.chance.shuffle(kinds)
            kind = kinds.pop()
            try:
                await crashes.round(kind)
            except (AssertionError, BusError) as error:
                crashes.tally.count["lost"] += 1
                crashes.tally.note(f"{kind}: {type(error).__name__} {error}")
            print(f"{sum(crashes.tally.count[n] for n in ('SIGKILL', 'SIGABRT'))} kills, last {kind}", file=sys.stderr)
        await stage.loaded()
        session = await stage.witness.call("StartDictation")
        await stage.speak(sentences(stage.chance, 1), [])
        await stage.witness.call("StopDictation")
        assert texts_of(session, stage.witness.signals).texts, "the last session after all kills has no text"
        return crashes.summary(loop.time() - began_s)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return report(asyncio.run(crash(arguments.times, arguments.seed)))


if __name__ == "__main__":
    sys.exit(main())
