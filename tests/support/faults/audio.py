"""Audio faults, each injected into a real sound server during a session of a real daemon, as seen by a bus client."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from coldvoxd.bus.interface_xml import ENGINE
from tests.support.daemon.dictating import Dictating, dictating, lost_words
from tests.support.eventually import eventually
from tests.support.sound.servers import PipeWireServer, PulseServer, SoundServer, running
from tests.support.sound.speech import Sample, samples

SERVERS: dict[type[PulseServer | PipeWireServer], str] = {PulseServer: "PulseAudio", PipeWireServer: "PipeWire"}
LOST = "microphone-lost"
BEFORE, AFTER, MEANWHILE = 0, 1, 20
"""Indices of the recordings before, after and during the fault."""
YETI, BUILT_IN = "Blue Yeti", "Built-in Audio"


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. Its callables block; expected properties are pairs of a name and a value."""

    name: str
    strike: Callable[[SoundServer, Dictating], None]
    lasts_s: float = 0.0
    mend: Callable[[SoundServer, Dictating], None] | None = None
    told: tuple[str, str] | None = ("Degraded", LOST)
    """The property that is published; None if none is."""
    mended: tuple[str, str] | None = ("Degraded", "")
    """The property published after the end; None if the fault ends when it is published."""
    device: str = "default"
    speaker_after: str = "speaker1"
    speaks_meanwhile: bool = False
    unseen_on_pipewire: bool = False
    """PipeWire reverts it at once, so no property is published."""


@dataclass(frozen=True, slots=True)
class Outcome:
    fault: str
    server: str
    told: str
    noticed_s: float | None
    """Seconds from the fault to the publication."""
    recovered_s: float | None
    """Seconds from the end of the fault to the publication; from the fault if it ends by itself."""
    lost: int
    """Words spoken before and after the fault that are in no text."""
    lost_meanwhile: str = ""
    """Lost words among those spoken during the fault."""


FAULTS = (
    Fault(
        "server dies, comes back after 2 s", lambda server, _: server.kill(), 2.0, lambda server, _: server.restart()
    ),
    Fault("server restarted", lambda server, _: server.kill(), 0.0, lambda server, _: server.restart()),
    Fault("server frozen for 4 s", lambda server, _: server.freeze(), 4.0, lambda server, _: server.thaw()),
    Fault(
        "source chosen by name unplugged for 2 s",
        lambda server, _: server.unplug(1),
        2.0,
        lambda server, _: server.plug(1),
        device=YETI,
    ),
    Fault(
        "default source unplugged",
        lambda server, _: server.unplug(1),
        told=("Device", BUILT_IN),
        mended=None,
        speaker_after="speaker2",
    ),
    Fault(
        "desktop's default changed",
        lambda server, _: server.set_default_source("mic2"),
        told=("Device", BUILT_IN),
        mended=None,
        speaker_after="speaker2",
    ),
    Fault(
        "stream moved in a mixer",
        lambda server, _: server.move_stream("mic2"),
        told=("Device", BUILT_IN),
        mended=None,
        speaker_after="speaker2",
    ),
    Fault(
        "source suspended for 3 s",
        lambda server, _: server.suspend(),
        3.0,
        lambda server, _: server.suspend(suspended=False),
        unseen_on_pipewire=True,
    ),
    Fault(
        "source muted for 2 s",
        lambda server, _: server.mute(),
        2.0,
        lambda server, _: server.mute(muted=False),
        told=("Degraded", "microphone-muted"),
    ),
    Fault(
        "daemon stopped for 3 s (reader too slow)",
        lambda _, daemon: daemon.freeze(),
        3.0,
        lambda _, daemon: daemon.thaw(),
        told=None,
        mended=None,
        speaks_meanwhile=True,
    ),
)


async def suffer(fault: Fault, kind: type[PulseServer | PipeWireServer]) -> Outcome:
    """Dictate, inject the fault, end it, and continue dictating, in one session.

    Raises AssertionError if an expected event never occurs.
    """
    if fault.unseen_on_pipewire and kind is PipeWireServer:
        fault = replace(fault, told=None, mended=None)
    before, after, meanwhile = (samples()[index] for index in (BEFORE, AFTER, MEANWHILE))
    with running(kind) as server:
        async with dictating(server, device=fault.device) as daemon:
            await daemon.until("Device", YETI)
            await daemon.client.call("StartDictation")
            await _speak(server, before)
            await eventually(lambda: not lost_words(_texts(daemon), before), what="the words before the fault")
            struck_s = time.monotonic()
            await asyncio.to_thread(fault.strike, server, daemon)
            noticed_s = await _when(daemon, fault.told, struck_s)
            if fault.speaks_meanwhile:
                await _speak(server, meanwhile)
            await eventually(lambda: time.monotonic() - struck_s > fault.lasts_s)
            mended_s = time.monotonic()
            if fault.mend is not None:
                await asyncio.to_thread(fault.mend, server, daemon)
            recovered_s = await _when(daemon, fault.mended, mended_s if fault.mend else (noticed_s or struck_s))
            await _speak(server, after, fault.speaker_after)
            text = await daemon.client.call("StopDictation")
    lost_meanwhile = ""
    if fault.speaks_meanwhile:
        total = lost_words("", meanwhile)
        lost_meanwhile = f"{lost_words(text, before, after, meanwhile) - lost_words(text, before, after)} of {total}"
    return Outcome(
        fault.name,
        SERVERS[kind],
        "=".join(fault.told) if fault.told else "nothing",
        noticed_s - struck_s if noticed_s else None,
        recovered_s - (mended_s if fault.mend else struck_s) if recovered_s else None,
        lost_words(text, before, after),
        lost_meanwhile,
    )


async def begin_without_server(kind: type[PulseServer | PipeWireServer]) -> Outcome:
    """Start the daemon without a sound server, and start a server later."""
    after = samples()[AFTER]
    with running(kind) as server:
        server.kill()
        started_s = time.monotonic()
        async with dictating(server) as daemon:
            await daemon.state("unavailable")
            assert await daemon.get("Degraded", ENGINE) == LOST
            noticed_s = time.monotonic()
            await asyncio.to_thread(server.restart)
            server_s = time.monotonic()
            recovered_s = await daemon.change("State", lambda state: state == "idle", after_s=noticed_s)
            await daemon.until("Device", YETI)
            await daemon.client.call("StartDictation")
            await _speak(server, after)
            text = await daemon.client.call("StopDictation")
    return Outcome(
        "no server at start",
        SERVERS[kind],
        f"Degraded={LOST}, State=unavailable",
        noticed_s - started_s,
        max(0.0, recovered_s - server_s),
        lost_words(text, after),
    )


async def _when(daemon: Dictating, told: tuple[str, str] | None, after_s: float) -> float | None:
    if told is None:
        return None
    name, wanted = told
    return await daemon.change(name, lambda value: value == wanted, after_s=after_s)


async def _speak(server: SoundServer, sample: Sample, speaker: str = "speaker1") -> None:
    await asyncio.to_thread(server.play, sample.path, speaker)


def _texts(daemon: Dictating) -> str:
    return " ".join(body[2] for body in daemon.client.bodies("Transcribed"))
