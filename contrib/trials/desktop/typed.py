"""Dictates into a window of a private X server or a private sway, through coldvox-type, and finds the words there."""

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import DICTATION  # noqa: E402 - the checkout's own
from coldvoxd.core.values import State  # noqa: E402
from coldvoxd.virtual.client import command  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.process import RunningDaemon, daemon  # noqa: E402
from tests.support.desktop.windows import (  # noqa: E402
    SWAY_PROGRAMS,
    X11_PROGRAMS,
    SwayDesktop,
    Window,
    XDesktop,
    lacking,
    sway,
    x11,
)
from tests.support.eventually import eventually  # noqa: E402
from tests.support.sound.speech import Sample, samples  # noqa: E402

CTL = Path(sys.executable).with_name("coldvoxctl")
SENTENCES = 3
PATIENCE_S = 20.0
MISSING = 69


Press = Callable[[], Awaitable[None]]
Report = Callable[["Found"], None]


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one sentence."""

    desktop: str
    said: str
    found: str
    right: bool
    seconds: float
    """Seconds from the end of speech, as delivered by the microphone, to the text in the window."""


def words(text: str) -> str:
    """Remove case and punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


async def in_x11(directory: Path, bus: PrivateBus, report: Report) -> bool:
    """Check X11. There is no window manager here to hold a shortcut, so `coldvoxctl toggle` is called instead."""
    with x11(directory, bus.address) as desktop:

        async def press() -> None:
            await asyncio.to_thread(desktop.run, str(CTL), "toggle")

        return await dictate("x11", desktop=desktop, terminal=desktop.xterm, press=press, bus=bus, report=report)


async def in_sway(directory: Path, bus: PrivateBus, report: Report) -> bool:
    """Check sway with the key that `coldvoxctl shortcut install` binds, pressed on a virtual keyboard."""
    config = directory / "config" / "sway" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("# A person's own.\n")
    with sway(directory, f"include {config}", bus.address) as desktop:

        def shortcut(*what: str) -> None:
            desktop.run("env", f"XDG_CONFIG_HOME={config.parents[1]}", str(CTL), "shortcut", *what, "--desktop", "sway")

        async def press() -> None:
            keys = ("-M", "logo", "-M", "alt", "-k", "d", "-m", "alt", "-m", "logo")
            await asyncio.to_thread(desktop.run, "wtype", "-s", "50", *keys)

        await asyncio.to_thread(shortcut, "install")
        right = await dictate("sway", desktop=desktop, terminal=desktop.foot, press=press, bus=bus, report=report)
        await asyncio.to_thread(shortcut, "remove")
        return right and config.read_text() == "# A person's own.\n"


async def dictate(
    name: str,
    *,
    desktop: XDesktop | SwayDesktop,
    terminal: Callable[[str], Window],
    press: Press,
    bus: PrivateBus,
    report: Report,
) -> bool:
    """Return whether all words were found."""
    right = True
    async with daemon(bus, desktop.directory) as running, running.client() as client, typist(desktop):
        window = await asyncio.to_thread(terminal, "letter")
        for sample in samples()[:SENTENCES]:
            found = await one(name, sample=sample, window=window, press=press, running=running, client=client)
            report(found)
            right = right and found.right
    return right


async def one(
    name: str,
    *,
    sample: Sample,
    window: Window,
    press: Press,
    running: RunningDaemon,
    client: BusClient,
) -> Found:
    """Press, speak, wait for the words, press again."""
    before = window.text
    accepted = {words(sample.said), *map(words, sample.heard.values())}
    await press()
    await becomes(client, State.LISTENING)
    await asyncio.to_thread(command, running.microphone, f"SPEAK {sample.path}")
    ended_s = time.monotonic()
    quiet = asyncio.create_task(asyncio.to_thread(command, running.microphone, "SILENCE 1500"))
    with contextlib.suppress(AssertionError):  # the text that came instead is reported
        await eventually(lambda: words(window.text.removeprefix(before)) in accepted, patience_s=PATIENCE_S)
    seconds = time.monotonic() - ended_s
    await quiet
    await press()
    await becomes(client, State.IDLE)
    found = words(window.text.removeprefix(before))
    return Found(name, sample.said, found, found in accepted, round(seconds, 3))


@contextlib.asynccontextmanager
async def typist(desktop: XDesktop | SwayDesktop) -> AsyncIterator[None]:
    """Run coldvox-type until the context ends."""
    log = desktop.directory / "coldvox-type.log"
    environment = {**desktop.environment, "PYTHONPATH": str(ROOT)}
    environment["XDG_CONFIG_HOME"] = str(desktop.directory)  # the user's own rules must not apply here
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "coldvoxd.typist"], env=environment, stderr=output)
    try:
        await eventually(lambda: "ready" in log.read_text(), what="coldvox-type")
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
        print(log.read_text())


async def becomes(client: BusClient, state: State) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while await client.get(DICTATION, "State") != state:
        if time.monotonic() > deadline_s:
            raise AssertionError(f"the daemon did not become {state} within {PATIENCE_S:g} s")
        await asyncio.sleep(0.02)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("desktop", choices=["x11", "sway"])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    if reason := lacking(X11_PROGRAMS if arguments.desktop == "x11" else SWAY_PROGRAMS):
        print(f"desktop-check {arguments.desktop}: {reason}", file=sys.stderr)
        return MISSING
    if arguments.desktop == "sway" and os.geteuid() == 0:
        # sway refuses to run as root; the bus, which checks user IDs, moves into the namespace too.
        command_prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
        os.execvp(command_prefix[0], [*command_prefix, sys.executable, *sys.argv])

    stdout, log = sys.stdout, io.StringIO()

    def report(found: Found) -> None:
        if arguments.json:
            print(json.dumps(asdict(found)), file=stdout, flush=True)
        else:
            words_there = f"in the window after {found.seconds:.2f} s: “{found.found}”"
            print(f"{found.desktop}: said “{found.said}”, {words_there}", file=stdout, flush=True)

    check = in_x11 if arguments.desktop == "x11" else in_sway
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-check-"))
    right = False
    try:
        # The helpers' output for a failing test, such as the daemon's log, is useful only after a failure.
        with contextlib.redirect_stdout(log), PrivateBus() as bus:
            right = asyncio.run(check(directory, bus, report))
    finally:
        shutil.rmtree(directory)
        if not right:
            print(log.getvalue(), file=sys.stderr)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
