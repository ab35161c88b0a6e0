"""Latencies that a user notices, measured over the bus with real daemons and a virtual microphone.

Two daemons run side by side, one with default settings and one without the feature under comparison. The same audio is
played to one after the other.
"""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Message
from coldvoxd.virtual.client import CommandRefused, command
from contrib.bench.figures import Figure, alone, compared
from contrib.bench.machine import cpu_s
from contrib.bench.plan import Plan
from contrib.bench.recordings import room, utterances
from contrib.bench.workers import FORMS
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually

T = TypeVar("T")

QUEUED_EVERY_S = 0.005

LONG_HANGOVER_MS = 1500
"""Hangover long enough to recognize a short utterance even on a slow machine."""
FITTING_S = 1.0
REACTION_S = 0.3
"""Seconds from the last word to the key that ends the session."""
SETTLED_S = 5.0
"""Seconds after which a started daemon has no work left."""
WITHOUT = "ours, begun at the endpoint"
OFF = "[dictation]\nspeculate = false"
SPEAKING_S = 3.0

SETTINGS = """\
[microphone]
device = "virtual:{microphone}"
policy = "{policy}"
[model]
name = "{model}"
precision = "{precision}"
provider = "cpu"
[endpoint]
hangover_ms = {hangover_ms}
{more}
"""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The results of one utterance."""

    texts: tuple[str, ...]
    audio_s: tuple[float, ...]
    """Seconds of audio of which each text was recognized."""
    end_to_text_s: float
    """Seconds from the labelled end of speech to the arrival of the last Transcribed; 0 if there was none."""
    endpoint_to_text_s: float
    """Latency as published by the daemon, from its decision that speech had ended."""


class Listener(BusClient):
    """A client that records when each signal arrived."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.arrived_s: list[float] = []
        """Monotonic time of arrival of each of `signals`."""

    def _note(self, message: Message) -> None:
        super()._note(message)
        self.arrived_s += [time.monotonic()] * (len(self.signals) - len(self.arrived_s))


def dictation(plan: Plan) -> Iterator[Figure]:
    """Measure end of speech to text, endpoint to text, and StopDictation to return, with and without speculation."""
    for precision in plan.precisions:
        with redirect_stdout(StringIO()):  # the daemons' logs
            found = asyncio.run(_dictate(plan, precision))
        yield from found


def idle(plan: Plan) -> Iterator[Figure]:
    """Measure the daemon's share of one core without speech, with the microphone open, and closed by `on-demand`."""
    with redirect_stdout(StringIO()):
        found = asyncio.run(_idle(plan))
    yield from found


async def _idle(plan: Plan) -> list[Figure]:
    figures = []
    for name, policy in (("idle-cpu", "always"), ("idle-cpu-on-demand", "on-demand")):
        shares = []
        async with AsyncExitStack() as stack:
            running, _ = await _start(stack, plan, plan.precisions[0], 500, policy=policy)
            await asyncio.sleep(min(SETTLED_S, plan.idle_s))
            for _ in range(plan.times):
                began_s, began_cpu_s = time.monotonic(), cpu_s(running.process.pid)
                await asyncio.sleep(plan.idle_s / plan.times)
                shares.append((cpu_s(running.process.pid) - began_cpu_s) / (time.monotonic() - began_s))
        figures.append(alone(name, shares, "of one core"))
    return figures


async def _dictate(plan: Plan, precision: str) -> list[Figure]:
    figures = []
    short = utterances(plan.work, SPEAKING_S, plan.times)
    fitting = utterances(plan.work, FITTING_S, plan.times)
    ways = ("", OFF)
    async with AsyncExitStack() as stack:
        sides = [await _start(stack, plan, precision, 500, way) for way in ways]
        heard = await _each(sides, short, _hear)
        figures += _figures(plan, f"3s-{precision}", heard)
        stops = await _each(sides, short, _stop_at_once)
        figures.append(_pair(plan, f"stop-to-return-{precision}", stops))
        stops = await _each(sides, short, _stop_after_a_moment)
        figures.append(_pair(plan, f"stop-{REACTION_S:g}s-later-to-return-{precision}", stops))
        if precision == plan.precisions[0]:
            metrics = await sides[0][1].call("GetMetrics", interface=ENGINE)
            first = metrics["stages"].value["key-to-first-sample"][1]
            figures.append(alone("key-to-first-sample", [first], "s"))
    async with AsyncExitStack() as stack:
        sides = [await _start(stack, plan, precision, LONG_HANGOVER_MS, way) for way in ways]
        heard = await _each(sides, fitting, _hear)
        latencies = [[spoken.endpoint_to_text_s for spoken in side] for side in heard]
        figures.append(_pair(plan, f"endpoint-to-text-{FITTING_S:g}s-{precision}", latencies))
    return figures


def _figures(plan: Plan, suffix: str, heard: list[list[Spoken]]) -> list[Figure]:
    ends = [[spoken.end_to_text_s for spoken in side if spoken.texts] for side in heard]
    figures = [_pair(plan, f"end-of-speech-to-text-{suffix}", ends)]
    mine, others = heard
    more = sum(len(one.texts) - len(other.texts) for one, other in zip(mine, others, strict=True))
    figures.append(alone(f"more-utterances-by-speculation-{suffix}", [more], f"of {len(mine)} utterances"))
    # Each daemon's detector keeps state, so it may start an utterance one frame earlier than the other's.
    same = [(one, other) for one, other in zip(mine, others, strict=True) if one.audio_s == other.audio_s]
    differing = sum(one.texts != other.texts for one, other in same)
    of = f"of {len(same)} utterances cut alike"
    figures.append(alone(f"other-texts-by-speculation-{suffix}", [differing], of))
    return figures


def _pair(plan: Plan, name: str, sides: list[list[float]]) -> Figure:
    mine, others = sides
    return compared(name, mine, others, WITHOUT, "s", full_size=plan.full_size)


Side = tuple[RunningDaemon, Listener]


async def _each(sides: list[Side], recordings: list[Path], act: Callable[[Side, Path], Awaitable[T]]) -> list[list[T]]:
    """Play each recording to one side after the other; return the results by side."""
    found: dict[int, list[T]] = defaultdict(list)
    for recording in recordings:
        for number, side in enumerate(sides):
            found[number].append(await act(side, recording))
    return list(found.values())


async def _hear(side: Side, recording: Path) -> Spoken:
    """Play a recording in its own session, until the daemon detects the end of speech."""
    running, client = side
    session = await client.call("StartDictation")
    seen = len(client.signals)
    ended_s = await _speak(running, recording)
    await eventually(lambda: _arrivals(client, seen, "SpeechEnded", after_s=ended_s), what="the end of speech")
    await client.call("StopDictation")
    await client.settle()
    texts = [body for body in client.bodies("Transcribed") if body[0] == session]
    arrived_s = _arrivals(client, seen, "Transcribed", after_s=0.0)
    return Spoken(
        texts=tuple(text for _, _, text, _ in texts),
        audio_s=tuple(round(details["end"].value - details["start"].value, 4) for *_, details in texts),
        end_to_text_s=arrived_s[-1] - ended_s if arrived_s else 0.0,
        endpoint_to_text_s=texts[-1][3]["latency"].value if texts else 0.0,
    )


async def _stop_at_once(side: Side, recording: Path) -> float:
    return await _stop(side, recording, 0.0)


async def _stop_after_a_moment(side: Side, recording: Path) -> float:
    return await _stop(side, recording, REACTION_S)


async def _stop(side: Side, recording: Path, reaction_s: float) -> float:
    """Return the seconds from the call of StopDictation to its text."""
    running, client = side
    await client.call("StartDictation")
    ended_s = await _speak(running, recording)
    await asyncio.sleep(max(0.0, ended_s + reaction_s - time.monotonic()))
    called_s = time.monotonic()
    await client.call("StopDictation")
    return time.monotonic() - called_s


async def _speak(running: RunningDaemon, recording: Path) -> float:
    """Return the time at which the microphone had delivered the whole recording; a quiet room follows directly."""

    def speak() -> float:
        while _is_queued(running.microphone):  # the quiet room after the previous recording
            time.sleep(QUEUED_EVERY_S)
        with ThreadPoolExecutor(1) as after:
            heard = after.submit(command, running.microphone, f"SPEAK {recording}")
            while not _is_queued(running.microphone):
                time.sleep(QUEUED_EVERY_S)
            threading.Thread(target=_play, args=(running.microphone, room(recording.parent))).start()
            heard.result()
            return time.monotonic()

    return await asyncio.to_thread(speak)


def _play(microphone: Path, recording: Path) -> None:
    """Play until the recording is over or the daemon, and with it its microphone, has ended."""
    with suppress(CommandRefused, OSError):
        command(microphone, f"SPEAK {recording}")


def _is_queued(microphone: Path) -> bool:
    """Return whether audio is playing or about to play."""
    return not command(microphone, "STATUS").endswith("queued_s=0.000")


def _arrivals(client: Listener, seen: int, member: str, *, after_s: float) -> list[float]:
    later = zip(client.signals[seen:], client.arrived_s[seen:], strict=False)
    return [arrived_s for signal, arrived_s in later if signal.member == member and arrived_s > after_s]


async def _start(
    stack: AsyncExitStack, plan: Plan, precision: str, hangover_ms: int, more: str = "", *, policy: str = "always"
) -> Side:
    """Start a daemon on its own private bus, and a client that receives its signals."""
    bus = stack.enter_context(PrivateBus())
    bus.extra_environment["XDG_CACHE_HOME"] = str(FORMS)
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="coldvox-bench-")))
    settings = SETTINGS.format(
        microphone=bus.directory / "mic",
        policy=policy,
        model=plan.model,
        precision=precision,
        hangover_ms=hangover_ms,
        more=more,
    )
    running = await stack.enter_async_context(daemon(bus, directory, settings))
    client = await stack.enter_async_context(Listener(bus.address))
    await client.subscribe("Transcribed", "SpeechEnded")
    return running, client
