"""State that a daemon leaves to the next process, from real processes: a killed daemon's spool, and a handover."""

import asyncio
import fcntl
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.host.reexec import _SEALS, VARIABLE
from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.eventually import eventually, eventually_answered
from tests.support.sound.speech import Sample, samples

SPOOL = "coldvoxd/spool"
"""Path below XDG_RUNTIME_DIR."""
HANG_MS = 120_000
"""Longer than the daemon lives: the first utterance's text must not arrive before the kill."""
PAUSE_MS = 600
"""Milliseconds of silence after the second sentence: less than the hangover below, so its utterance is still open."""
SETTINGS = """\
[microphone]
device = "virtual:{microphone}"
[endpoint]
hangover_ms = 1000
[model]
name = "mini"
provider = "virtual:{accelerator}"
[replacement]
quiet_s = 0.1
"""
VIRTUAL = "VirtualExecutionProvider"


def sentences() -> tuple[Sample, Sample]:
    """Return short sentences of the bundled samples."""
    chosen = {sample.name[3:]: sample for sample in samples()}
    return chosen["thank-you-maria"], chosen["good-morning-john"]


async def write_spool(directory: Path, into: Path) -> None:
    """Kill a daemon in a session with one utterance waiting for its text and another being spoken; copy its spool."""
    first, second = sentences()
    with PrivateBus() as bus:
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(directory)}
        settings = SETTINGS.format(microphone=bus.directory / "mic", accelerator=bus.directory / "gpu")
        async with daemon(bus, directory, settings) as running, running.client() as client:
            for faults in ("HANG {} 9", "CPU HANG {} 9"):
                await asyncio.to_thread(command, bus.directory / "gpu", faults.format(HANG_MS))
            await client.call("StartDictation")
            await running.speak(first)
            spool = directory / SPOOL
            await eventually(lambda: len(list(spool.glob("*.spool"))) > 1, what="a file for the next utterance")
            await asyncio.to_thread(command, running.microphone, f"SPEAK {second.path}")
            await asyncio.to_thread(command, running.microphone, f"SILENCE {PAUSE_MS}")
            running.kill()
            into.mkdir(parents=True)
            for path in sorted(spool.glob("*.spool")):
                shutil.copyfile(path, into / path.name)


async def handover_after_a_fault(directory: Path) -> bytes:
    """Return a daemon's handover to its replacement, after a dictation and a permanent accelerator fault."""
    first, second = sentences()
    with PrivateBus() as bus:
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(directory)}
        settings = SETTINGS.format(microphone=bus.directory / "mic", accelerator=bus.directory / "gpu")
        python, copy = directory / "venv/bin/python", directory / "handover"
        _same_environment(python)
        async with daemon(bus, directory, settings, python=str(python)) as running, running.client() as client:

            async def on_accelerator() -> bool:
                return bool(await client.get(ENGINE, "ExecutionProvider") == VIRTUAL)

            await eventually_answered(on_accelerator, what="the accelerator")
            await _dictate(running, first)
            _copy_handover(python, copy)
            await asyncio.to_thread(command, bus.directory / "gpu", "FAULT illegal")
            await _dictate(running, second)
            await eventually(lambda: running.log.count(" INFO ready\n") == 2, what="the next process")
            assert "re-executed, consecutive number" in running.log
            return copy.read_bytes()


async def _dictate(running: RunningDaemon, sample: Sample) -> None:
    async with running.client() as client:
        await client.call("StartDictation")
        await running.speak(sample)
        await client.call("StopDictation")


def _same_environment(python: Path) -> None:
    """Create another name for the running interpreter, with its packages, that can be replaced while it runs."""
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    configuration = Path(sys.prefix) / "pyvenv.cfg"
    if configuration.exists():
        shutil.copy(configuration, python.parents[1])
        (python.parents[1] / "lib").symlink_to(Path(sys.prefix) / "lib")


def _copy_handover(python: Path, into: Path) -> None:
    """Make the next process that `python` starts copy the handover first; then it continues normally."""
    script = python.with_name("script")
    script.write_text(
        "#!/bin/sh\n"
        f'cat "/proc/self/fd/${VARIABLE}" >{shlex.quote(str(into))}\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    script.chmod(0o755)
    script.replace(python)


async def recovered(directory: Path, spool: Path) -> dict[str, Any]:
    """Return what clients receive from a frozen spool: `session`, `texts` in order, `reason` and `transcript`."""
    place = directory / SPOOL
    place.mkdir(parents=True, mode=0o700)
    place.parent.chmod(0o700)
    for path in spool.iterdir():
        shutil.copyfile(path, place / path.name)
        (place / path.name).chmod(0o600)
    with PrivateBus() as bus:
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(directory)}
        async with BusClient(bus.address) as witness:
            await witness.subscribe("Transcribed", "DictationStopped")
            async with daemon(bus, directory):
                await eventually(lambda: witness.bodies("DictationStopped"), what="the end of the session")
    [(session, reason, transcript)] = witness.bodies("DictationStopped")
    texts = witness.bodies("Transcribed")
    assert all(text[0] == session and text[3]["retried"].value for text in texts)
    return {
        "session": session,
        "texts": [text[2] for text in texts],
        "reason": reason,
        "transcript": transcript,
        "left": [path.name for path in place.glob("*.spool")],
    }


async def resumed(directory: Path, handover: bytes) -> dict[str, Any]:
    """Return the current code's state after a frozen handover: `last`, by RetryLast, `metrics` and `providers`."""
    with PrivateBus() as bus:
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(directory)}
        async with BusClient(bus.address) as client:
            guid = await client.call("GetId", **_OF_BUS)
            descriptor = _as_descriptor(handover, str(guid))
            try:
                bus.extra_environment[VARIABLE] = str(descriptor)
                async with daemon(bus, directory, pass_fds=(descriptor,)) as running:
                    assert "re-executed, consecutive number" in running.log
                    last = await client.call("RetryLast")
                    metrics = await client.call("GetMetrics", interface=ENGINE)
                    providers = await client.get(ENGINE, "UsableProviders")
            finally:
                os.close(descriptor)
    counts = {key: value.value for key, value in metrics.items() if value.signature == "t" and key != "memory"}
    uptime_s, stages = metrics["uptime"].value, sorted(metrics["stages"].value)
    return {"last": last, "counts": counts, "stages": stages, "uptime_s": uptime_s, "providers": sorted(providers)}


_OF_BUS: dict[str, Any] = {
    "interface": "org.freedesktop.DBus",
    "destination": "org.freedesktop.DBus",
    "path": "/org/freedesktop/DBus",
}


def _as_descriptor(handover: bytes, bus: str) -> int:
    """Return a frozen handover as the daemon inherits it.

    `bus` is the GUID of the current bus, which differs between logins.
    """
    content: dict[str, Any] = json.loads(handover)
    content["carried"]["bus"] = bus
    found = os.memfd_create("handover", os.MFD_ALLOW_SEALING)
    os.write(found, json.dumps(content).encode())
    fcntl.fcntl(found, fcntl.F_ADD_SEALS, _SEALS)
    return found
