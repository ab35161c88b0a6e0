"""The soak: normal use of one daemon for a long time, with checks that its resources stay flat.

contrib/soak.sh sets up. Every twenty seconds two sentences are dictated, and one more action follows, in turn: a
recording is transcribed, a subscriber connects and leaves, the provider is swapped, the microphone is unplugged and
plugged in, the settings are reloaded, a session is cancelled, a private one is started. When the daemon is idle again
its descriptors, threads and memory are read.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from coldvoxd.bus.interface_xml import ENGINE, MICROPHONE
from coldvoxd.bus.library import Variant
from coldvoxd.core.seams import spelled
from tests.support.bus.private_bus import BusClient
from tests.support.eventually import eventually
from tests.support.faults import supervision
from tests.support.faults.broken_daemon import Fault
from tests.support.faults.chaos.plan import Source
from tests.support.faults.chaos.stage import PAUSE_S, Stage, forbidden_in_log
from tests.support.sound.speech import samples

CYCLE_S = 20.0
SETTLING_S = 2.0
"""Seconds from the last action to the reading: a file's descriptor and a closing device need a moment."""
WARM_UP = 0.2
"""Share of the readings that is ignored: libraries load, caches and the allocator's arenas fill."""
Figure = Callable[[Sequence[float]], float]
FLAT: dict[str, tuple[Figure, str, float]] = {
    "descriptors": (statistics.median, "medians", 1.0),
    "threads": (statistics.median, "medians", 1.0),
    "resident_kib": (min, "least values", 3072.0),
}
"""The figure compared per third of a run, and how much the last third's may exceed the first's.

Two thirds of a run lie between the two: in ten minutes 16 cycles, in which each kind of action occurs twice or more. A
descriptor lost in each dictation is +16, one lost only when the microphone is reopened is +2 to +3; the median ignores
a single reading in a busy moment. Freed memory stays with the allocator for a while, depending on the last action: up
to 20 MiB, measured. So the minimums are compared, which the daemon cannot do without; they rose by 0.8 MiB in ten
minutes. A dictation that keeps its audio adds 250 KiB, and 16 of them 4 MiB.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Resources of an idle daemon."""

    descriptors: int
    threads: int
    resident_kib: int


@dataclass(slots=True)
class Outcome:
    seconds: int = 0
    dictations: int = 0
    happened: dict[str, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    cpu_share: float = 0.0
    """Share of one core used by the daemon and its sound server."""
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.faults


def thirds(values: Sequence[float], figure: Figure) -> tuple[float, float, float]:
    """Return the figure for each third of the readings after the warm-up."""
    settled = values[int(len(values) * WARM_UP) :]
    third = len(settled) // 3
    assert third, f"{len(values)} readings are too few"
    return figure(settled[:third]), figure(settled[third:-third]), figure(settled[-third:])


def not_flat(readings: Sequence[Reading]) -> list[str]:
    """Return the resources that grew, one line each."""
    wrong = []
    for name, (figure, called, allowed) in FLAT.items():
        first, middle, last = thirds([float(getattr(reading, name)) for reading in readings], figure)
        if last - first > allowed:
            wrong.append(
                f"{name} grew by more than {allowed:g}: {called} of the thirds {first:g}, {middle:g}, {last:g}"
            )
    return wrong


class Soak:
    """The actions of a cycle."""

    def __init__(self, stage: Stage, cycle_s: float) -> None:
        self.stage = stage
        self.cycle_s = cycle_s
        self.outcome = Outcome()
        self.things: tuple[Callable[[], Awaitable[None]], ...] = (
            self.transcribe_file,
            self.subscriber_comes_and_goes,
            self.swap_provider,
            self.reopen_microphone,
            self.reload,
            self.cancel,
            self.dictate_in_private,
        )

    async def cycle(self, number: int) -> None:
        began_s = time.monotonic()
        await self.dictate(number)
        thing = self.things[number % len(self.things)]
        await thing()
        name = thing.__name__
        self.outcome.happened[name] = self.outcome.happened.get(name, 0) + 1
        await self.stage.until(self.stage.is_well, f"normal service after {name}")
        await asyncio.sleep(SETTLING_S)
        pid = self.stage.daemon.pid
        reading = Reading(supervision.descriptors(pid), supervision.threads(pid), supervision.resident_kib(pid))
        self.outcome.readings.append(reading)
        print(f"{number + 1:4}  {name:26} {reading}", file=sys.stderr, flush=True)
        self.stage.signals.clear()
        self.stage.ledger.sentences.clear()
        await asyncio.sleep(max(0.0, self.cycle_s - (time.monotonic() - began_s)))

    async def dictate(self, number: int) -> None:
        """Dictate two sentences; their words must be exact."""
        stage = self.stage
        session = int(await stage.call("StartDictation"))
        said = [samples()[(2 * number + which) % len(samples())] for which in range(2)]
        for sample in said:
            await stage.speak(sample)
            await asyncio.sleep(PAUSE_S)
        self._compare(
            str(await stage.call("StopDictation")), " ".join(sample.heard["fp32"] for sample in said), session
        )
        self.outcome.dictations += 1

    async def transcribe_file(self) -> None:
        stage, sample = self.stage, samples()[2]
        descriptor = os.open(sample.path, os.O_RDONLY)
        try:
            job = await stage.witness.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[descriptor])
        finally:
            os.close(descriptor)

        def text() -> str | None:
            found = (body for body in stage.witness.bodies("FileTranscribed") if body[0] == job)
            return next((str(body[1]) for body in found), None)

        self._compare(await eventually(text, what="the text of a file"), sample.heard["fp32"], job)

    async def subscriber_comes_and_goes(self) -> None:
        async with BusClient(self.stage.bus.address) as client:
            await client.subscribe()
            await client.get(MICROPHONE, "Devices")

    async def swap_provider(self) -> None:
        """Switch to the CPU, and back to the settings' accelerator."""
        await self.stage.call("SetProvider", "cpu", interface=ENGINE)
        await self.stage.call("Reload", interface=ENGINE)

    async def reopen_microphone(self) -> None:
        sound = self.stage.sound
        await asyncio.to_thread(sound.unplug, 1)

        async def lost() -> bool:
            return not await self.stage.hears()

        await self.stage.until(lost, "the loss of the microphone")
        await asyncio.to_thread(sound.plug, 1)
        await self.stage.until(self.stage.hears, "the microphone")

    async def reload(self) -> None:
        await self.stage.call("Reload", interface=ENGINE)

    async def cancel(self) -> None:
        await self.stage.call("StartDictation")
        await self.stage.speak(samples()[5])
        await self.stage.call("CancelDictation")

    async def dictate_in_private(self) -> None:
        """Start a private session by a client that leaves during it."""
        async with BusClient(self.stage.bus.address) as client:
            await client.call("StartDictationWithOptions", "a{sv}", {"private": Variant("b", True)})
            await self.stage.speak(samples()[8])

    def _compare(self, text: str | None, wanted: str, number: int) -> None:
        """Compare the words. Whether a sentence ends between two utterances is a finding, which `contrib/trials/seams.py` counts."""
        if [spelled(word) for word in (text or "").split()] != [spelled(word) for word in wanted.split()]:
            self.outcome.faults.append(f"{number}: {wanted!r} became {text!r}")


async def soak(seconds: float, cycle_s: float = CYCLE_S, broken: Fault | None = None) -> Outcome:
    """Use the daemon for `seconds`. A cycle takes at least `cycle_s`. `broken` is a deliberate fault."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coldvox-soak-") as place:
        async with Stage(Path(place), Source.SERVER, broken=broken) as stage:
            acts = Soak(stage, cycle_s)
            outcome = acts.outcome
            try:
                number = 0
                while time.monotonic() - began_s < seconds:
                    await acts.cycle(number)
                    number += 1
            except Exception as error:  # noqa: BLE001 - reported, with the log
                outcome.faults.append(f"{type(error).__name__}: {error}")
            exits = list(stage.daemon.exits)
            log = stage.daemon.log
        outcome.seconds = round(time.monotonic() - began_s)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome.cpu_share = round((usage.ru_utime + usage.ru_stime) / outcome.seconds, 3)
    outcome.faults += [f"the daemon ended by itself; exit codes: {exits}"] if exits else []
    outcome.faults += [f"the log holds spoken text: {said!r}" for said in forbidden_in_log(log)]
    outcome.faults += not_flat(outcome.readings)
    if outcome.faults:
        print(f"== the daemon's log, last part:\n{log[-20000:]}", *outcome.faults, sep="\n", file=sys.stderr)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--hours", type=float)
    length.add_argument("--minutes", type=float, default=10.0)
    try:
        arguments = parser.parse_args()
    except SystemExit as end:
        return 64 if end.code else 0  # EX_USAGE
    outcome = asyncio.run(soak(60.0 * (arguments.hours * 60.0 if arguments.hours else arguments.minutes)))
    print(json.dumps(dataclasses.asdict(outcome) | {"passed": outcome.passed}, indent=2))
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
