"""The JSON output of every `--json` command, and the dictionaries of signals, from real programs.

Each scene runs commands that have something to print, and returns the printed objects by the name of the command,
followed by the name of the event for commands that print events.
"""

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from coldvoxd.bus.interface_xml import BUS_NAME, ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.models.file_names import VOCABULARY
from coldvoxd.typist.delivery import Outcome, Result
from coldvoxd.typist.reports import Reporter
from coldvoxd.typist.settings import Method
from tests.support.bus.portal import PortalDesktop
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.contracts.comparison import Shape, merged, shape_of
from tests.support.daemon.process import RunningDaemon, daemon
from tests.support.models.hub import MODEL, LoopbackHub
from tests.support.sound.servers import PulseServer, running
from tests.support.sound.speech import samples

ROOT = Path(__file__).parents[3]
_CAPABILITIES = "+dac_override,+fowner"
AS_USER = ("setpriv", "--reuid=1000", f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}")
"""For `setup`, which refuses to run as root: another user with access to root's files."""
MODEL_SETTINGS = '[model]\nname = "mini"\nprovider = "cpu"\n'
HOME = "/home/user"
NOT_RUN = {"shortcut held": "prints what `start` does, inside sway: see tests/desktop/test_shortcut_sway.py"}
"""Commands that no scene runs, and reasons."""


@dataclass
class Printed:
    """Objects by command, and the types of values in dictionaries sent over the bus, by member."""

    objects: dict[str, list[Any]] = field(default_factory=dict)
    variants: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Records written by the commands, by name; paths in them refer to HOME."""

    def add(self, command: str, objects: list[Any]) -> None:
        for each in objects:
            name = f"{command}: {each['event']}" if "event" in each else command
            self.objects.setdefault(name, []).append(each)

    def shapes(self) -> dict[str, Shape]:
        return {name: merged([shape_of(each) for each in found]) for name, found in sorted(self.objects.items())}


@dataclass
class Ctl:
    """Runs `coldvoxctl --json` in an environment, and records its output."""

    environment: Mapping[str, str]
    printed: Printed = field(default_factory=Printed)
    under: tuple[str, ...] = ()
    """Prefix of the command line."""

    async def __call__(self, command: str, *arguments: str | Path, fails: bool = False) -> list[Any]:
        """Return the command's output; if it `fails`, also record it under `error`."""
        process = await self.begin(*command.split(), *arguments)
        out, err = await process.communicate()
        assert bool(process.returncode) == fails, (command, out, err)
        found = [json.loads(line) for line in out.splitlines()]
        self.printed.add(command, found)
        if fails and err:
            self.printed.add("error", [json.loads(err)])
        return found

    async def begin(self, *arguments: str | Path) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*self.under, sys.executable, "-m", "coldvoxd.cli.main", "--json", *arguments),
            cwd=ROOT,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    @asynccontextmanager
    async def following(self, command: str, first: str, last: str = "") -> AsyncIterator[None]:
        """Run a command that prints events within the context, and interrupt it at the end, after an event `last` if named.

        `first` is the event that reports that it is ready.
        """
        process = await self.begin(*command.split())
        assert process.stdout is not None
        try:
            first_line = await process.stdout.readline()
            assert first_line, (await process.communicate())[1]
            line = json.loads(first_line)
            assert line["event"] == first
            yield
            lines = [line]
            while last and lines[-1]["event"] != last:
                lines.append(json.loads(await process.stdout.readline()))
            process.send_signal(signal.SIGINT)
            out, _ = await process.communicate()
            self.printed.add(command, [*lines, *(json.loads(each) for each in out.splitlines())])
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def dictation(directory: Path) -> Printed:
    """Run the commands that need the daemon: sessions, recordings and others."""
    recordings = [samples()[0].path, directory / "cut.flac", directory / "no-numbers.wav"]
    recordings[1].write_bytes(recordings[0].read_bytes()[:-4000])
    soundfile.write(recordings[2], np.full(SAMPLE_RATE, np.nan, np.float32), SAMPLE_RATE, subtype="FLOAT")
    with PrivateBus() as bus:
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(directory)}
        ctl = Ctl(bus.environment)
        async with contextlib.AsyncExitStack() as ends, BusClient(bus.address) as witness:
            serving = await ends.enter_async_context(daemon(bus, directory))
            async with ctl.following("listen", "listening", last="daemon-connected"):
                await witness.subscribe("Transcribed")
                await _dictate(ctl, serving)
                await asyncio.gather(
                    *(ctl(command) for command in ("retry", "status", "metrics", "devices")),
                    ctl("transcribe", *recordings, fails=True),
                    ctl("transcribe", "--local", "--model", "mini", recordings[0]),
                    _shortcuts_of_portal(ctl, bus),
                )
                await ctl("provider", "cpu")
                ctl.printed.variants = await _variants(witness, recordings)
                serving.settings.write_text(MODEL_SETTINGS)  # another microphone requires a restart
                await ctl("reload")
                await ends.aclose()
                await _take_name(witness)
    return ctl.printed


async def _dictate(ctl: Ctl, serving: RunningDaemon) -> None:
    await ctl("start", "--words")
    await serving.speak(samples()[0])
    await ctl("stop")
    await ctl("toggle")
    await ctl("cancel")
    await ctl("cancel", fails=True)


async def _shortcuts_of_portal(ctl: Ctl, bus: PrivateBus) -> None:
    async with PortalDesktop(bus.address), ctl.following("shortcut portal", "bound"):
        pass


async def _take_name(client: BusClient) -> None:
    """Make listeners see the daemon's name return."""
    await client.call(
        *("RequestName", "su", BUS_NAME, 0),
        interface="org.freedesktop.DBus",
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
    )


async def _variants(witness: BusClient, recordings: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return the variant types, from recordings that together produce every detail."""
    metrics = await witness.call("GetMetrics", interface=ENGINE)
    details: dict[str, Variant] = {}
    for path in recordings:
        async with witness.expect_signal("FileTranscribed") as transcribed:
            with path.open("rb") as file:
                options = {"words": Variant("b", True)}
                await witness.call("TranscribeFile", "ha{sv}", 0, options, descriptors=(file.fileno(),))
        details |= transcribed.body[2]
    [*_, said] = witness.bodies("Transcribed")
    found = {"GetMetrics": metrics, "Transcribed": said[3], "FileTranscribed": details}
    return {member: {key: value.signature for key, value in details.items()} for member, details in found.items()}


async def microphones(directory: Path) -> Printed:
    """Run the commands that need a sound server."""
    with running(PulseServer) as sound, PrivateBus() as bus:
        bus.extra_environment = sound.environment() | {"XDG_RUNTIME_DIR": str(directory)}
        ctl = Ctl(bus.environment)
        async with daemon(bus, directory, MODEL_SETTINGS):
            [listed] = await ctl("devices")
            await ctl("device", listed["devices"][0]["name"])
    return ctl.printed


async def models(directory: Path) -> Printed:
    """Run `coldvoxctl model`, with a hub on the loopback address."""
    with LoopbackHub() as hub:
        ctl = Ctl(hub.environment(directory))
        await ctl("model pull")
        await ctl("model prepare")
        await ctl("model prepare", "--precision", "int8")
        await ctl("model list")
        [path] = await ctl("model path")
        ctl.printed.files = _records(directory / "cache/coldvoxd", Path(path["path"]), directory)
        (Path(path["path"]) / VOCABULARY).write_text("damaged")
        await ctl("model verify", fails=True)
        await ctl("model remove", MODEL)
        await ctl("model path", fails=True)
    return ctl.printed


def _records(cache: Path, model: Path, home: Path) -> dict[str, str]:
    converted = next(cache.glob("models/**/coldvoxd-int8.json"))
    form = next(path for path in cache.glob("prepared/*/form.json") if '"fp32"' in path.read_text("utf-8"))
    found = {path.name: path for path in (model / "coldvoxd-model.json", form, converted)}
    found["golden.json"] = next(cache.glob("golden/*.json"))
    return {name: path.read_text("utf-8").replace(str(home), HOME) for name, path in found.items()}


async def machine(directory: Path) -> Printed:
    """Run the commands that need no daemon: settings, installation, shortcuts and the doctor."""
    home = {"HOME": str(directory), "XDG_CURRENT_DESKTOP": "", "XDG_RUNTIME_DIR": str(directory)}
    unset = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "DBUS_SESSION_BUS_ADDRESS", "SWAYSOCK")
    ctl = Ctl({name: value for name, value in os.environ.items() if name not in unset} | home)
    config = directory / ".config/sway/config"
    config.parent.mkdir(parents=True)
    config.write_text("set $mod Mod4\n")
    await asyncio.gather(_asked(ctl), _installed(ctl), ctl("doctor", "--report", directory / "report", fails=True))
    return ctl.printed


async def _asked(ctl: Ctl) -> None:
    await ctl("--version")
    for command in ("show", "path", "check", "example"):
        await ctl(f"config {command}")
    await ctl("config get", "model.name")
    await ctl("completion", "bash")
    await ctl("nonsense", fails=True)


async def _installed(ctl: Ctl) -> None:
    for command in ("install", "show", "remove"):
        await ctl(f"shortcut {command}", "--desktop", "sway")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as programs:  # not below /tmp, which the service does not see
        Path(programs).chmod(0o755)
        program = Path(programs) / "coldvoxd"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        user = Ctl(ctl.environment, ctl.printed, AS_USER if os.geteuid() == 0 else ())
        await user("setup", "--no-start", "--bin", programs)
        await user("setup --remove")


def typing() -> Printed:
    """Return coldvox-type's report of a text with all fields."""
    printed, lines = Printed(), io.StringIO()
    outcome = Outcome(Result.UNSURE, Method.PASTE, "firefox", "it was fetched late")
    with contextlib.redirect_stdout(lines):
        Reporter(as_json=True).outcome({"session": 1, "utterance": 1}, outcome)
    printed.add("coldvox-type", [json.loads(lines.getvalue())])
    return printed


SCENES = (dictation, microphones, models, machine)
