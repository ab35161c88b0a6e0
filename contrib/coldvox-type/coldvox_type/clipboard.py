"""The clipboard, borrowed for one paste: what was in it is saved before and put back after."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from coldvox_type.faults import Refused
from coldvox_type.programs import LIMIT_S, run, start
from coldvox_type.settings import Selection
from coldvox_type.surroundings import on_wayland

TAKEN_LIMIT_S = 2.0
"""How long a window may take to fetch what the chord pastes."""
SETTLE_S = 0.1
"""Clipboard managers look at something new at once; what is asked for later is asked for by the window."""
LARGEST_BYTES = 64 << 20
_WISHED = (
    "x-special/gnome-copied-files",
    "image/png",
    "text/uri-list",
    "UTF8_STRING",
    "text/plain;charset=utf-8",
    "text/plain",
    "STRING",
)
"""The kinds by which content is saved, the one that tells most first. The programs can put back only one."""
_ABOUT = {"TARGETS", "TIMESTAMP", "MULTIPLE", "SAVE_TARGETS", "DELETE", "INCR"}


@dataclass(frozen=True, slots=True)
class Saved:
    """What was in a selection; an empty kind where nothing was."""

    kind: str = ""
    content: bytes = b""


class Offer:
    """Text that is in the selection as long as the program that holds it runs."""

    def __init__(self, process: asyncio.subprocess.Process, served: re.Pattern[bytes]) -> None:
        self._process = process
        self._served = served
        self._count = 0
        self._changed = asyncio.Condition()
        self._reading = asyncio.ensure_future(self._read())

    @property
    def replaced(self) -> bool:
        """Something newer is in the selection."""
        return self._process.returncode is not None

    async def settled(self) -> int:
        """How often the text was fetched by those who watch the clipboard."""
        await asyncio.sleep(SETTLE_S)
        return self._count

    async def fetched(self, before: int) -> None:
        """Until somebody has fetched it beyond `before`; Refused where nobody does."""
        try:
            async with asyncio.timeout(TAKEN_LIMIT_S), self._changed:
                await self._changed.wait_for(lambda: self._count > before)
        except TimeoutError:
            raise Refused("the window did not take what was pasted") from None
        await asyncio.sleep(SETTLE_S)  # what is long goes in several pieces

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        """The programs tell on standard error whenever they have handed the text out."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if self._served.search(line):
                async with self._changed:
                    self._count += 1
                    self._changed.notify_all()


async def put(text: str, environment: Mapping[str, str], selection: Selection = Selection.CLIPBOARD) -> None:
    """Leave `text` in the selection."""
    await _hold(Saved(_text_kind(environment), text.encode()), environment, selection)


@asynccontextmanager
async def borrowed(text: str, environment: Mapping[str, str], selection: Selection) -> AsyncIterator[Offer]:
    """The selection holds `text` within, and afterwards what it held before, unless something newer has come."""
    before = await _save(environment, selection)
    offer = await _offer(text, environment, selection)
    try:
        yield offer
    finally:
        newer = offer.replaced
        if not newer and before.kind:
            await _hold(before, environment, selection)
        elif not newer and on_wayland(environment):
            await run("wl-copy", "--clear", *_primary(selection), environment=environment)
        await offer.end()


async def _save(environment: Mapping[str, str], selection: Selection) -> Saved:
    """Refused where there is something that can't be saved: it would be lost."""
    wayland = on_wayland(environment)
    try:
        if wayland:
            listed = await run("wl-paste", "--list-types", *_primary(selection), environment=environment)
        else:
            listed = await run(
                "xclip", "-o", "-selection", selection, "-t", "TARGETS", environment=environment, limit_s=1
            )
    except Refused as fault:
        if "not installed" in str(fault) or "display" in str(fault):
            raise
        return Saved()  # both programs fail where there is nothing
    kinds = [kind for kind in listed.decode(errors="replace").split("\n") if kind and kind not in _ABOUT]
    kind = next((kind for kind in _WISHED if kind in kinds), kinds[0] if kinds else "")
    if not kind:
        return Saved()
    if wayland:
        content = await run("wl-paste", "--no-newline", "--type", kind, *_primary(selection), environment=environment)
    else:
        content = await run("xclip", "-o", "-selection", selection, "-t", kind, environment=environment)
    if len(content) > LARGEST_BYTES:
        raise Refused(f"the clipboard holds more than {LARGEST_BYTES >> 20} MB, which can't be put back")
    return Saved(kind, content)


async def _offer(text: str, environment: Mapping[str, str], selection: Selection) -> Offer:
    if on_wayland(environment):
        # Tells each message of the protocol on standard error; `send` is somebody's request for the content.
        told = {**environment, "WAYLAND_DEBUG": "client"}
        arguments = ["--foreground", "--type", "text/plain;charset=utf-8", *_primary(selection)]
        arguments += await _sensitive(environment)
        process = await start("wl-copy", *arguments, environment=told)
        offer = Offer(process, re.compile(rb"source[a-z0-9_]*[@#]\d+\.send\("))
    else:
        process = await start("xclip", "-i", "-verbose", "-selection", selection, environment=environment)
        # The first such line comes before anybody has asked.
        offer = Offer(process, re.compile(rb"Waiting for selection request number (?!1\b)\d+"))
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.close()
    return offer


async def _sensitive(environment: Mapping[str, str]) -> list[str]:
    """What keeps clipboard managers from remembering it, where this wl-copy can say so."""
    usage = await run("wl-copy", "--help", environment=environment)
    return ["--sensitive"] if b"--sensitive" in usage else []


async def _hold(saved: Saved, environment: Mapping[str, str], selection: Selection) -> None:
    """Both programs go on in the background for as long as theirs is the newest content."""
    if on_wayland(environment):
        command = ["wl-copy", "--type", saved.kind, *_primary(selection)]
    else:
        command = ["xclip", "-i", "-selection", selection, "-t", saved.kind]
    process = await start(*command, environment=environment, output=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(LIMIT_S):
            await process.communicate(saved.content)
    except TimeoutError:  # wl-copy waits for the focus where the desktop gives the clipboard to nobody else
        process.kill()
        await process.wait()
        raise Refused(f"{command[0]} did not get the clipboard within {LIMIT_S:g} s") from None
    if process.returncode != 0:
        raise Refused(f"{command[0]} failed: exit code {process.returncode}")


def _text_kind(environment: Mapping[str, str]) -> str:
    return "text/plain;charset=utf-8" if on_wayland(environment) else "UTF8_STRING"


def _primary(selection: Selection) -> list[str]:
    return ["--primary"] if selection is Selection.PRIMARY else []
