#!/usr/bin/env python3
"""Pastes into a busy Chromium page and into a window that ignores pastes, in a private X server and a private sway.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/busy_pastes.py [--times 30] [--faster]. It
needs chromium and the programs of `contrib/test.sh --system`, and prints a table of what arrived and what coldvox-type
reported.
"""

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import SessionOptions  # noqa: E402 - the checkout's own
from tests.support.desktop.page import browser, served  # noqa: E402
from tests.support.desktop.typing_client import TypingClient, typing_client  # noqa: E402
from tests.support.desktop.windows import (  # noqa: E402
    SWAY_PROGRAMS,
    X11_PROGRAMS,
    SwayDesktop,
    XDesktop,
    lacking,
    sway,
    x11,
)
from tests.support.eventually import eventually  # noqa: E402

BUSY_MS, PERIOD_MS = 250, 300
OLD = "the old clipboard"
PAGE = "a busy page"
READER_S = 0.4
"""Seconds between two reads of the clipboard by a program while no window takes the paste."""
MISSING = 69


@dataclass
class Row:
    """A row of the table."""

    desktop: str
    into: str
    pastes: int
    reported: Counter[str] = field(default_factory=Counter)
    right: int = 0
    old: int = 0
    clipboard: str = ""

    def count(self, lines: list[str]) -> None:
        """Count coldvox-type's reports, and print those of uncertain deliveries to the page."""
        self.reported.update(line.split()[0] for line in lines)
        for line in lines:
            if self.into == PAGE and not line.startswith("delivered"):
                print(f"{self.desktop}: {line}", file=sys.stderr)

    def __str__(self) -> str:
        reported = ", ".join(f"{count} {word}" for word, count in sorted(self.reported.items()))
        return f"| {self.desktop} | {self.into} | {self.pastes} | {self.right} | {self.old} | {reported} | {self.clipboard} |"


async def into_page(
    name: str, desktop: XDesktop | SwayDesktop, client: TypingClient, *, times: int, faster: bool
) -> Row:
    """Dictate `times` texts into the busy page; with `faster`, without waiting for each outcome."""
    row = Row(name, PAGE, times)
    client.settings.write_text('method = "paste"\n')
    platform = "wayland" if name == "sway" else "x11"
    with served(BUSY_MS, PERIOD_MS) as page, browser(desktop, page, platform):
        await eventually(lambda: page.loaded, what="the page")
        if isinstance(desktop, XDesktop):
            await asyncio.to_thread(desktop.focus, "page")
            # A page has no focus without a keyboard; sway has none here before the first chord.
            await eventually(lambda: page.focused, what="the focus in the page")
        desktop.copy(OLD)
        texts = [f"Text number {number}." for number in range(times)]
        if faster:
            client.running.control.start(":1.0", SessionOptions(), 0.0)
            for text in texts:
                client.running.control.say(text)
            await eventually(lambda: len(client.told) >= times, patience_s=10 * times, what="all outcomes")
            client.running.control.toggle(":1.0", 0.0)
        else:
            for text in texts:
                await client.hear(text)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: texts[-1] in page.content, patience_s=5)
        row.count(client.told)
        row.right = sum(page.content.count(text) == 1 for text in texts)
        row.old = page.content.count(OLD)
        row.clipboard = await is_as_before(desktop)
    return row


async def into_nothing(name: str, desktop: XDesktop | SwayDesktop, client: TypingClient, times: int) -> Row:
    """Dictate into a terminal that ignores the paste chord, while a program polls the clipboard."""
    row = Row(name, f"no window, a reader every {READER_S:g} s", times)
    client.settings.write_text(
        'method = "paste"\nchord = "F9"\n[applications.xterm]\nselection = "clipboard"\nchord = "F9"\n'
    )
    client.settings.write_text(client.settings.read_text() + '[applications.foot]\nchord = "F9"\n')
    terminal = desktop.xterm if isinstance(desktop, XDesktop) else desktop.foot
    await asyncio.to_thread(terminal, "deaf")
    read = "xclip -o -selection clipboard" if isinstance(desktop, XDesktop) else "wl-paste --no-newline"
    reader = desktop.spawn("reader", "sh", "-c", f"while :; do {read} >/dev/null 2>&1; sleep {READER_S}; done")
    before = len(client.told)
    for number in range(times):
        desktop.copy(OLD)
        await client.hear(f"Text number {number}.")
    row.count(client.told[before:])
    reader.process.kill()
    row.clipboard = "-"
    return row


async def is_as_before(desktop: XDesktop | SwayDesktop) -> str:
    def same() -> bool:
        try:
            return desktop.clipboard() == OLD
        except subprocess.CalledProcessError:
            return False

    try:
        await eventually(same, patience_s=10)
    except AssertionError:
        return "no"
    return "yes"


async def on_desktop(name: str, *, times: int, faster: bool) -> list[Row]:
    """Run both trials on one desktop."""
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-pastes-"))
    try:
        with (x11 if name == "x11" else sway)(directory) as desktop:
            async with typing_client(desktop.environment, directory) as client:
                return [
                    await into_page(name, desktop, client, times=times, faster=faster),
                    await into_nothing(name, desktop, client, max(1, times // 3)),
                ]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--desktop", choices=["x11", "sway"], help="only this one")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--faster", action="store_true", help="texts come without a pause between them")
    arguments = parser.parse_args()
    if reason := lacking((*X11_PROGRAMS, *SWAY_PROGRAMS, "chromium")):
        print(f"pastes: {reason}", file=sys.stderr)
        return MISSING
    os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    print("| desktop | into | pastes | right | old clipboard | reported | clipboard as before |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in [arguments.desktop] if arguments.desktop else ["x11", "sway"]:
        with contextlib.redirect_stdout(io.StringIO()):
            rows = asyncio.run(on_desktop(name, times=arguments.times, faster=arguments.faster))
        for row in rows:
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
