"""Presses the shortcut of a real desktop and clicks its indicator, speaks, and finds the words in a window there."""

import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from gnome import RIGHT, Gnome
from plasma import Plasma
from stage import CHECKOUT, DICTATION, RUNTIME, SAMPLES, BusError, Stage, StageError, settled, until
from widget import check_widget

SAID = {
    "one two three four five": "05-one-two-three-four-five.flac",
    "the pictures are not big": "13-the-pictures-are-not-big.flac",
}
"""The reference's texts of recordings in the bundled model's manifest, with the model's weights, and the recordings."""
LONG = ("Grüße an Zoë — 5 €, жить, 日本語, ok 😀. " * 400)[:9_999] + " "
LETTER = f"{RUNTIME}/letter.txt"


class Desktop(Protocol):
    """A real desktop on a stage."""

    name: str
    installer: str
    """The script, below contrib, that installs our part."""
    place: str
    """The directory into which it installs."""

    async def start(self, language: str = ...) -> None: ...

    async def take_keyboard(self) -> None: ...

    async def press_shortcut(self) -> None: ...

    async def click_light(self) -> None: ...

    async def disable_and_enable(self) -> None: ...

    def complaints(self) -> str: ...

    async def focused(self) -> str: ...

    async def screenshot(self, name: str) -> Path: ...


DESKTOPS: dict[str, type[Gnome | Plasma]] = {"gnome": Gnome, "plasma": Plasma}


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one sentence."""

    desktop: str
    said: str
    found: str
    right: bool
    seconds: float
    """Seconds from the end of speech, as delivered by the microphone, to the text in the window."""


async def check(name: str, tree: Path, *, quiet: bool) -> bool:
    """Return whether all words were found. Raises StageError."""
    async with Stage.set_up(tree) as stage:
        desktop: Desktop = DESKTOPS[name](stage)
        try:
            await desktop.start()
            stage.launch_daemon()
            await stage.state_is("idle")
            await desktop.disable_and_enable()
            stage.start("letter", "gjs", "-m", f"{CHECKOUT}/contrib/trials/desktop/window.js", LETTER)
            await until(stage.inside(LETTER).exists, "the window")
            await until(desktop.focused, "the focus in the window")
            await desktop.take_keyboard()
            if isinstance(desktop, Gnome):
                await open_menu(desktop, stage)
                await ask_for_keys(desktop, stage)
                await use_own_keys(desktop, stage)
            stage.start_typing()
            await until(lambda: "ready" in stage.log("coldvox-type").read_text("utf-8"), "coldvox-type")
            before = letter(stage)
            right = True
            for said, switch in zip(SAID, (desktop.press_shortcut, click_for_partials(desktop, stage)), strict=True):
                found = await dictate(desktop, stage, said, before, switch)
                before = letter(stage)
                right = right and found.right
                report(found, quiet=quiet)
            if isinstance(desktop, Plasma):
                await check_widget(desktop, stage)
            if complaints := desktop.complaints():
                print(complaints, file=sys.stderr)
                keep(stage)
                return False
            await stage.run(f"{CHECKOUT}/contrib/{desktop.installer}", "--remove")
            if stage.inside(desktop.place).exists():
                print(f"{desktop.place} is still there", file=sys.stderr)
                return False
        except (StageError, BusError):
            with contextlib.suppress(StageError, BusError):
                await desktop.screenshot("failed")
            keep(stage)
            raise
        return right


def click_for_partials(desktop: Desktop, stage: Stage) -> Callable[[], Awaitable[None]]:
    """Return a click on the indicator that checks that a session it starts has text during speech.

    The click raises StageError.
    """

    async def click() -> None:
        starts = await stage.state() == "idle"
        await desktop.click_light()
        if starts:
            await stage.state_is("listening")
            session = await stage.bus.get(DICTATION, "Session")
            options = await stage.bus.call("GetSessionOptions", "u", session)
            if not options["partials"].value:
                raise StageError("the indicator started a session without text during speech")

    return click


async def open_menu(desktop: Gnome, stage: Stage) -> None:
    """Check that the right button and a finger open the indicator's menu, and do not start a session."""
    for opens in (lambda: desktop.click_light(RIGHT), desktop.touch_light):
        await opens()
        await until(desktop.menu_is_open, "the indicator's menu")
        await stage.state_is("idle")
        await desktop.hide_menu()


async def ask_for_keys(desktop: Gnome, stage: Stage) -> None:
    """Check the portal's question: answer no, yes, then no further question; check that a long text arrives exactly.

    Raises StageError.
    """

    def expect(what: str, actual: str, wanted: str) -> None:
        if not actual.startswith(wanted):
            raise StageError(f"{what}: “{actual}” where “{wanted}” was expected")

    refused = await stage.type_last("Refused.", desktop.answer_question(allow=False))
    expect("refused", refused, "failed earlier=undelivered method=clipboard: you denied the permission to press keys")
    expect("the clipboard", await desktop.clipboard(), "Refused.")
    await until(lambda: letter(stage) == "", "nothing in the window")
    again = await stage.type_last("Refused.")
    expect(
        "refused before",
        again,
        "failed earlier=undelivered method=clipboard: the permission to press keys was denied",
    )
    await until(desktop.is_in_letter, "the focus in the window")
    allowed = await stage.finish(stage.start_typing("--allow"), desktop.answer_question(allow=True))
    expect("allowed", allowed, "allowed")
    await until(desktop.is_in_letter, "the focus in the window")
    await desktop.copy("précieux")
    expect("a long text", await stage.type_last(LONG), "delivered earlier=undelivered method=portal")
    await until(lambda: letter(stage) == LONG, "10,000 characters in the window, exactly")
    expect("the clipboard as it was", await desktop.clipboard(), "précieux")


async def use_own_keys(desktop: Gnome, stage: Stage) -> None:
    """Check that `coldvoxctl shortcut` sets a key in GNOME's settings, and gets holdable keys from the portal.

    Raises StageError.
    """
    stage.install_coldvoxctl()
    await stage.run("dbus-update-activation-environment", "PATH")
    stage.start("media-keys", "/usr/libexec/gsd-media-keys")
    await stage.run("coldvoxctl", "shortcut", "install", "--key", "Super+Alt+J")
    await settled()
    await desktop.press("j")
    await stage.state_is("listening")
    await desktop.press("j")
    await stage.state_is("idle")
    await stage.run("coldvoxctl", "shortcut", "remove")

    following = stage.start("keys", "coldvoxctl", "shortcut", "portal")
    await desktop.add_keys()
    await until(lambda: "Start and stop dictation: " in stage.log("keys").read_text(), "the portal's keys")
    await settled()
    await desktop.hold("h", down=True)
    await stage.state_is("listening")
    await settled()
    await desktop.hold("h", down=False)
    await stage.state_is("idle")
    for wanted in ("listening", "idle"):
        await desktop.press("t")
        await stage.state_is(wanted)
    following.terminate()
    await until(lambda: following.poll() is not None, "the end of coldvoxctl")


async def dictate(
    desktop: Desktop, stage: Stage, said: str, before: str, switch: Callable[[], Awaitable[None]]
) -> Found:
    """Switch dictation on, speak, wait for the words, switch it off, and wait for the final mark. Raises StageError."""
    await switch()
    await stage.state_is("listening")
    await stage.tell(stage.microphone, f"SPEAK {SAMPLES / SAID[said]}")
    ended_s = time.monotonic()
    silence = asyncio.create_task(stage.tell(stage.microphone, "SILENCE 1500"))
    await until(lambda: words(letter(stage)) == words(f"{before} {said}"), f"“{said}” in the window", 20)
    seconds = time.monotonic() - ended_s
    await silence
    await switch()
    await stage.state_is("idle")
    await until(lambda: letter(stage)[-1:] in {".", "?", "!"}, "the final mark in the window", 20)
    found = words(letter(stage).removeprefix(before))
    return Found(desktop.name, said, found, found == said, round(seconds, 3))


def letter(stage: Stage) -> str:
    """Return the window's text."""
    return stage.inside(LETTER).read_text("utf-8")


def words(text: str) -> str:
    """Remove case and punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def report(found: Found, *, quiet: bool) -> None:
    if quiet:
        print(json.dumps(asdict(found)), flush=True)
    else:
        print(
            f"{found.desktop}: said “{found.said}”, in the window after {found.seconds:.2f} s: “{found.found}”",
            flush=True,
        )


def keep(stage: Stage) -> None:
    """Keep the logs of a failed run for inspection."""
    place = Path(os.environ["COLDVOX_DESKTOP_TREE"] + ".failed")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for file in stage.inside(RUNTIME).iterdir():
        if file.suffix in {".log", ".png", ".txt"}:
            shutil.copy(file, place)
    print(f"the logs are in {place}", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("desktop", choices=DESKTOPS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tree = Path(os.environ["COLDVOX_DESKTOP_TREE"])
    try:
        return 0 if asyncio.run(check(arguments.desktop, tree, quiet=arguments.json)) else 1
    except (StageError, BusError) as failure:
        print(f"desktop-check {arguments.desktop}: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
