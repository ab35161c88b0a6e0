#!/usr/bin/env python3
"""Pastes one line and several lines into each installed terminal, in a private X server with openbox and a private sway.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/terminals.py [--only st,kitty]. It needs the
programs of `contrib/test.sh --system`, and skips terminals that are not installed. It prints a table of what a program in the
terminal received, and exits with 1 if a line did not arrive exactly, else with 0.
"""

import argparse
import asyncio
import contextlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.typist.errors import Refused  # noqa: E402 - the checkout's own
from coldvoxd.typist.focus import Focus, focused  # noqa: E402
from coldvoxd.typist.settings import load  # noqa: E402
from tests.support.desktop.typing_client import TypingClient, typing_client  # noqa: E402
from tests.support.desktop.windows import (  # noqa: E402
    DEBIAN_PYTHON,
    SWAY_PROGRAMS,
    X11_PROGRAMS,
    SwayDesktop,
    XDesktop,
    lacking,
    sway,
    x11,
)
from tests.support.eventually import eventually, eventually_answered  # noqa: E402

MISSING = 69
PATIENCE_S = 15.0
SETTLE_S = 2.0
"""Seconds before a click: a window that slides in gets none."""
NO_DISPLAY = ":4711"
"""In Wayland; some programs connect to display 0 if there is no DISPLAY."""
LINE = "Grüße: 5\u00a0€, 1\u202f000 — жить, 日本語 😀."
LINES = "One.\nTwo.\n"
BEGIN, END = b"\x1b[200~", b"\x1b[201~"
"""What a terminal sends before and after a paste, if a program asked for bracketed paste."""

TERMINALS: Mapping[str, tuple[str, ...]] = {
    "alacritty": ("alacritty", "-e"),
    "cool-retro-term": ("cool-retro-term", "-e"),
    "deepin-terminal": ("deepin-terminal", "-e"),
    "eterm": ("Eterm", "-e"),
    "foot": ("foot",),
    "gnome-console": ("kgx", "-e"),
    "gnome-terminal": ("gnome-terminal", "--wait", "--"),
    "guake": ("guake", "--show"),
    "kitty": ("kitty",),
    "konsole": ("konsole", "-e"),
    "lxterminal": ("lxterminal", "--no-remote", "-e"),
    "mate-terminal": ("mate-terminal", "--disable-factory", "-x"),
    "mlterm": ("mlterm", "-e"),
    "pterm": ("pterm", "-e"),
    "qterminal": ("qterminal", "-e"),
    "sakura": ("sakura", "-x"),
    "st": ("st", "-e"),
    "termit": ("termit", "-e"),
    "terminator": ("terminator", "-x"),
    "terminology": ("terminology", "-e"),
    "tilda": ("tilda", "-c"),
    "tilix": ("tilix", "-e"),
    "urxvt": ("urxvt", "-e"),
    "uxterm": ("uxterm", "-e"),
    "xfce4-terminal": ("xfce4-terminal", "--disable-server", "-x"),
    "xterm": ("xterm", "-e"),
    "xiterm+thai": ("xiterm+thai", "-e"),
    "yakuake": ("yakuake",),
    "zutty": ("zutty", "-e"),
}
"""Commands that show a terminal, which runs the program that follows, or the user's shell if it can't."""
ONLY_ON = {
    "sway": {"foot"},
    "X11": {
        "eterm",
        "guake",
        "mlterm",
        "pterm",
        "st",
        "termit",
        "terminology",
        "tilda",
        "urxvt",
        "uxterm",
        "xiterm+thai",
        "xterm",
        "yakuake",
        "zutty",
    },
}
"""Terminals for one kind of desktop; terminology needs a click first, which a sway without a pointer has not."""
CLICKS = {"terminology": ("400", "330"), "yakuake": ("400", "150")}
"""Where a user must click first, on X11: a question that is asked at the first start, or a terminal without the focus."""
CONFIRMS = {"urxvt": "y", "xfce4-terminal": "Return"}
"""Keys that answer these terminals' question whether to paste several lines."""
PACKAGES = {"st": "stterm", "urxvt": "rxvt-unicode", "uxterm": "xterm"}

# Asks for bracketed paste, then for the terminal's kind; the answer shows that both were read. Eterm does not answer.
READER = """
import os, select, sys, tty
tty.setraw(0)
os.write(1, b"\\x1b[?2004h\\x1b[c")
while select.select([0], [], [], 5)[0] and not os.read(0, 4096).endswith(b"c"):
    pass
out = open(sys.argv[1], "ab", buffering=0)
open(sys.argv[1] + ".running", "w").close()
while data := os.read(0, 4096):
    out.write(data)
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A terminal that has the focus."""

    focus: Focus
    file: Path

    def received(self) -> bytes:
        return self.file.read_bytes()


@contextlib.asynccontextmanager
async def terminal(name: str, desktop: XDesktop | SwayDesktop) -> AsyncIterator[Shown]:
    """Show a terminal in a session of its own, with an empty home. Raises AssertionError if it does not come."""
    home = Path(tempfile.mkdtemp(prefix="coldvoxd-home-"))
    file = home / "received"
    reader = home / "reader"
    reader.write_text(f"#!/bin/sh\nexec {shlex.join([DEBIAN_PYTHON, '-c', READER, str(file)])}\n")
    reader.chmod(0o755)
    environment = {
        "DISPLAY": NO_DISPLAY,
        "QT_QPA_PLATFORM": "xcb" if isinstance(desktop, XDesktop) else "wayland",
        **desktop.environment,
        "HOME": str(home),
        "SHELL": str(reader),
        "NO_AT_BRIDGE": "1",
    }
    for variable in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        environment.pop(variable, None)
    command = ["dbus-run-session", "--", *TERMINALS[name], str(reader)]
    with (desktop.directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        await eventually((home / "received.running").exists, patience_s=PATIENCE_S, what=f"{name}'s program")

        yield Shown(await focus_on(name, desktop), file)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


async def focus_on(name: str, desktop: XDesktop | SwayDesktop) -> Focus:
    """Return the focus as coldvox-type finds it, once a window has it."""
    found: list[Focus] = []

    async def is_focused() -> bool:
        with contextlib.suppress(Refused):
            found.append(await focused(desktop.environment))
        return bool(found and found[-1].application)

    await eventually_answered(is_focused, patience_s=PATIENCE_S, what=f"{name}'s focus")
    return found[-1]


async def arrival(shown: Shown, before: int, text: str) -> str:
    """Wait for `text` behind the first `before` bytes; return in words what arrived."""
    wanted = {text.encode().replace(b"\n", end) for end in (b"\r", b"\n")}

    def arrived() -> bytes:
        return shown.received()[before:]

    def is_exact() -> bool:
        return arrived().removeprefix(BEGIN).removesuffix(END).removeprefix(b" ") in wanted

    with contextlib.suppress(AssertionError):
        await eventually(is_exact, patience_s=PATIENCE_S)
    if not is_exact():
        return f"{arrived()!r}" if arrived() else "nothing"
    return "exact, marked" if arrived().startswith(BEGIN) else "exact"


async def on_desktop(kind: str, only: set[str], report: Callable[[str], None]) -> int:
    """Run the trial on one desktop; return the number of terminals in which a line was wrong."""
    wrong = 0
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-terminals-"))
    try:
        with (x11 if kind == "X11" else sway)(directory) as desktop:
            if kind == "X11":
                desktop.spawn("openbox", "openbox", "--sm-disable")
            async with typing_client(desktop.environment, directory) as client:
                client.settings.write_text('method = "paste"\n')
                others = set[str]().union(*(names for other, names in ONLY_ON.items() if other != kind))
                for name in TERMINALS:
                    if (only and name not in only) or name in others or not shutil.which(TERMINALS[name][0]):
                        continue
                    line, is_wrong = await row(kind, name, desktop, client)
                    report(line)
                    wrong += is_wrong
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return wrong


async def row(kind: str, name: str, desktop: XDesktop | SwayDesktop, client: TypingClient) -> tuple[str, bool]:
    """Return a row of the table, and whether a line arrived wrong."""
    package = PACKAGES.get(name, name)
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False
    )
    head = f"| {kind} | {name} {version.stdout.partition('-')[0].rpartition(':')[2]}"
    try:
        async with terminal(name, desktop) as shown:
            if name in CLICKS:
                await asyncio.sleep(SETTLE_S)
                desktop.run("xdotool", "mousemove", *CLICKS[name], "click", "1")
            chord = load(Path("/none")).rule_for(shown.focus.application, shown.focus.instance).chord
            results = []
            for text in (LINE, LINES):
                before = len(shown.received())
                told = (await client.hear(text)).split()[0]
                result = await arrival(shown, before, text)
                if result == "nothing" and name in CONFIRMS and isinstance(desktop, XDesktop):
                    desktop.run("xdotool", "key", CONFIRMS[name])
                    result = f"after its question {await arrival(shown, before, text)}"
                results.append(f"{result} ({told})")
            own = (shown.focus.application, Path(shown.focus.instance).name)
            names = ", ".join(dict.fromkeys(filter(None, own)))
            return f"{head} | {names} | {chord} | {' | '.join(results)} |", "exact" not in results[0]
    except AssertionError as error:
        return f"{head} | not run: {str(error).partition(';')[0]} | | | |", False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--desktop", choices=["X11", "sway"], help="only this one")
    parser.add_argument("--only", default="", help="only these terminals, separated by commas")
    arguments = parser.parse_args()
    if reason := lacking((*X11_PROGRAMS, *SWAY_PROGRAMS, "openbox")):
        print(f"terminals: {reason}", file=sys.stderr)
        return MISSING
    os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    only, table, wrong = set(filter(None, arguments.only.split(","))), sys.stdout, 0
    print("| desktop | terminal | application | chord | one line | two lines |\n|---|---|---|---|---|---|", flush=True)

    def report(line: str) -> None:
        print(line, file=table, flush=True)

    for kind in [arguments.desktop] if arguments.desktop else ["X11", "sway"]:
        with contextlib.redirect_stdout(io.StringIO()):
            wrong += asyncio.run(on_desktop(kind, only, report))
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
