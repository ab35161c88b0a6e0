"""The selections of X11 and Wayland, accessed by the desktop's programs: saved, offered to a paste, and restored."""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.typist import clipboard_owner
from coldvoxd.typist.browsers import Browser, is_chromium
from coldvoxd.typist.clipboard_content import (
    LARGEST_BYTES,
    Content,
    best,
    completed,
    has_one_kind,
    is_conversion,
    packed,
    to_read,
)
from coldvoxd.typist.clipboard_loan import Loan, Offer, Verdict
from coldvoxd.typist.environment import on_wayland
from coldvoxd.typist.errors import NoAnswer, ProgramMissing, Refused, TooMuch
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.polling import until
from coldvoxd.typist.programs import LIMIT_S, run, send_signal, start
from coldvoxd.typist.settings import Selection
from coldvoxd.typist.wayland import Wayland
from coldvoxd.typist.x11 import XServer

log = logging.getLogger(__name__)

SAVE_S = 10.0
"""Seconds after which no further type of the content is read before a paste; the most informative one always is."""
CONVERSIONS_S = 2.0
"""Seconds after which no further format of a picture is read that its owner makes when it is asked."""
HAND_OVER_S = 10.0
"""Seconds that our own process may take to hold the content: Python starts slowly on a busy machine."""
ENDING_S = 0.5
"""Seconds that the program may take to notice that it was replaced."""


class ProgramOffer:
    """Text that a selection holds while the program that owns it runs."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, held: re.Pattern[bytes], served: re.Pattern[bytes]
    ) -> None:
        """`held` and `served` match what the program prints when it gets the selection, and at each fetch."""
        self.fetched_s: list[float] = []
        self._process = process
        self._held = held
        self._served = served
        self._has_selection = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    @property
    def replaced(self) -> bool:
        """Whether newer content is in the selection."""
        return self._process.returncode is not None

    async def until_held(self) -> None:
        """Return when the program has the selection. Raises Refused if it does not get it."""
        waiting = asyncio.ensure_future(self._has_selection.wait())
        await asyncio.wait([waiting, self._reading], timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._has_selection.is_set():
            ended = self.replaced or self._reading.done()
            await self.end()
            raise Refused(f"the clipboard could not be set{'' if ended else f' within {LIMIT_S:g} s'}")

    async def end(self) -> None:
        """End the program; the selection is empty then, unless it has newer content."""
        # A replaced program ends by itself.
        if not await until(lambda: self.replaced, ENDING_S):
            send_signal(self._process, signal.SIGTERM)
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        """Read standard error, where the programs report each time they deliver the text."""
        assert self._process.stderr is not None  # noqa: S101 - `start` makes pipes
        async for line in self._process.stderr:
            if self._served.search(line):
                self.fetched_s.append(asyncio.get_running_loop().time())
            elif self._held.search(line):
                self._has_selection.set()


@dataclass(frozen=True, slots=True)
class ProgramBoard:
    """A selection, accessed by xclip on X11 and wl-clipboard on Wayland."""

    environment: Mapping[str, str]
    selection: Selection

    @property
    def is_primary(self) -> bool:
        return self.selection is Selection.PRIMARY

    async def save(self) -> Content:
        """Return the content by type; empty if the selection is. Raises Refused if it can't be read, since it would be lost."""
        return await _save(self.environment, self.selection)

    async def offer(self, text: str) -> ProgramOffer:
        """Put `text` into the selection; it is there when this returns."""
        offer = await _offer(text, self.environment, self.selection)
        await offer.until_held()
        return offer

    async def put_back(self, saved: Content, offer: Offer | None) -> None:
        """Restore what was saved. If nothing was, the end of the offer empties the selection."""
        if saved:
            await _hold(saved, self.environment, self.selection, offer)
        elif on_wayland(self.environment):
            await run("wl-copy", "--clear", *_primary(self.selection), environment=self.environment)

    async def has(self, text: str) -> bool:
        """Return whether the selection has this text, whichever program offers it."""
        kind = _text_kind(self.environment)
        try:
            found = await _read(kind, self.environment, self.selection, LIMIT_S, len(text.encode()))
        except Refused:  # empty, not a text, or longer
            return False
        return found == text.encode()

    async def leave(self, text: str, saved: Content, offer: Offer) -> None:
        """Leave `text` in the clipboard. The primary selection holds what the user last marked, so that is restored."""
        if self.selection is Selection.PRIMARY:
            await self.put_back(saved, offer)
        await put(text, self.environment)


class Clipboards:
    """The clipboard loans of this process. Event loop only."""

    def __init__(self, locks: Callable[[str], Path]) -> None:
        """`locks` returns the path of a lock file."""
        self._locks = locks
        self._browsers: dict[str, Browser] = {}
        """By the application's name."""
        self._loans: dict[tuple[str | Selection, ...], Loan] = {}

    def loan(self, environment: Mapping[str, str], selection: Selection) -> Loan:
        """Return the loan of this desktop's selection."""
        # A server that was restarted may have the same name and another authority file.
        names = ("WAYLAND_DISPLAY", "DISPLAY", "XAUTHORITY")
        key = (*(environment.get(name, "") for name in names), selection)
        if key not in self._loans:
            self._loans[key] = Loan(ProgramBoard(environment, selection), self._locks(selection))
        return self._loans[key]

    def browser(self, focus: Focus) -> Browser | None:
        """Return the browser that has the window; None if it is another program."""
        name = focus.application
        if name not in self._browsers and is_chromium(focus):
            self._browsers[name] = Browser()
        return self._browsers.get(name)

    def late(self, environment: Mapping[str, str], selection: Selection, text: str) -> "asyncio.Future[Verdict] | None":
        """Return the verdict to come if `text` is in this selection, since no window has fetched it in time; else None."""
        return self.loan(environment, selection).late(text)

    async def close(self) -> None:
        """Return when all clipboards have their own content again."""
        for loan in self._loans.values():
            await loan.close()


async def put(text: str, environment: Mapping[str, str], selection: Selection = Selection.CLIPBOARD) -> None:
    """Leave `text` in the selection."""
    await _hold({_text_kind(environment): text.encode()}, environment, selection)


async def _save(environment: Mapping[str, str], selection: Selection) -> Content:
    """Return the content by type. Raises Refused if there is content that can't be saved, since it would be lost."""
    offered = await _offered(environment, selection)
    started_s = asyncio.get_running_loop().time()
    read: dict[str, bytes] = {}
    for kind in to_read(offered):
        budget_s = CONVERSIONS_S if is_conversion(kind, read) else SAVE_S
        left_s = min(LIMIT_S, started_s + budget_s - asyncio.get_running_loop().time())
        if left_s <= 0:
            break
        left_bytes = LARGEST_BYTES - sum(map(len, read.values()))
        try:
            read[kind] = await _read(kind, environment, selection, left_s, left_bytes)
        except Refused as error:
            if not read:
                if isinstance(error, TooMuch):
                    raise Refused(f"the clipboard holds {error}, which cannot be restored") from error
                raise
            continue  # its owner does not provide it, or takes too long to make it
    return completed(read, offered, latin1=not on_wayland(environment))


async def _offered(environment: Mapping[str, str], selection: Selection) -> list[str]:
    """Return the types of the content; none if the selection is empty."""
    try:
        if on_wayland(environment):
            listed = await run("wl-paste", "--list-types", *_primary(selection), environment=environment)
        else:
            listed = await run(
                "xclip", "-o", "-selection", selection, "-t", "TARGETS", environment=environment, limit_s=1
            )
    except Refused as error:
        if isinstance(error, ProgramMissing) or "display" in str(error):  # the words of xclip and wl-paste
            raise
        if isinstance(error, NoAnswer):  # the display stalls, or the program that owns the content
            await _check_display(environment)
        return []  # both programs fail if the selection is empty
    return listed.decode(errors="replace").split("\n")


async def _read(
    kind: str, environment: Mapping[str, str], selection: Selection, limit_s: float, limit_bytes: int
) -> bytes:
    if on_wayland(environment):
        command = ["wl-paste", "--no-newline", "--type", kind, *_primary(selection)]
    else:
        command = ["xclip", "-o", "-selection", selection, "-t", kind]
    return await run(*command, environment=environment, limit_s=limit_s, limit_bytes=limit_bytes)


async def _offer(text: str, environment: Mapping[str, str], selection: Selection) -> ProgramOffer:
    if on_wayland(environment):
        # Each protocol message is printed to standard error; `send` is a client's request for the content.
        debugging = {**environment, "WAYLAND_DEBUG": "client"}
        arguments = ["--foreground", "--type", "text/plain;charset=utf-8", *_primary(selection)]
        arguments += await _sensitive(environment)
        process = await start("wl-copy", *arguments, environment=debugging)
        held, served = rb"set_(primary_)?selection\(", rb"source[a-z0-9_]*[@#]\d+\.send\("
    else:
        process = await start("xclip", "-i", "-verbose", "-selection", selection, environment=environment)
        waiting = rb"Waiting for selection request number "  # the first one is printed before any client's request
        held, served = waiting + rb"1\b", waiting + rb"(?!1\b)\d+"
    offer = ProgramOffer(process, held=re.compile(held), served=re.compile(served))
    assert process.stdin is not None  # noqa: S101 - `start` makes pipes
    process.stdin.write(text.encode())
    process.stdin.close()
    return offer


async def _sensitive(environment: Mapping[str, str]) -> list[str]:
    """Return the option that keeps clipboard managers from storing the content, if this wl-copy has it."""
    usage = await run("wl-copy", "--help", environment=environment)
    return ["--sensitive"] if b"--sensitive" in usage else []


async def _hold(
    content: Content, environment: Mapping[str, str], selection: Selection, offer: Offer | None = None
) -> None:
    """Hand the content over to a program, which stays in the background while its content is the newest.

    If our own process fails, the most informative type is kept. With `offer`, it takes the selection only while that has
    this offer: Python starts more slowly than a user copies.
    """
    kind = best(content)
    if on_wayland(environment):
        command = ["wl-copy", "--type", kind, *_primary(selection)]
    else:
        command = ["xclip", "-i", "-selection", selection, "-t", kind]
    if not has_one_kind(content):
        own = [sys.executable, "-P", "-m", "coldvoxd.typist.clipboard_owner", selection]
        name, parts = "the process for copied content", packed(content)
        try:
            code = await _hand_over(name, own, parts, environment, HAND_OVER_S, offer=offer)
        except Refused as error:
            log.warning("of the %d types in the clipboard, only %s is kept: %s", len(content), kind, error)
            code = clipboard_owner.UNAVAILABLE
        if code != clipboard_owner.UNAVAILABLE:
            return
    await _hand_over(command[0], command, [content[kind]], environment, LIMIT_S)


async def _hand_over(
    name: str,
    command: Sequence[str],
    parts: Sequence[bytes],
    environment: Mapping[str, str],
    limit_s: float,
    *,
    offer: Offer | None = None,
) -> int:
    """Give the content to a program; return its exit code, 0 or UNAVAILABLE, or 0 once `offer` is replaced.

    Raises Refused if the program fails.
    """
    process = await start(*command, environment=environment, output=asyncio.subprocess.DEVNULL)
    giving = asyncio.create_task(process.communicate(b"".join(parts)))
    done = await until(lambda: giving.done() or bool(offer and offer.replaced), limit_s)
    if not giving.done():  # wl-copy waits for the focus if the desktop gives the clipboard to no other client
        # The process in the background ends with the one that waits for it, unless it has the selection.
        send_signal(process, signal.SIGKILL)
    await giving
    if done and offer and offer.replaced:
        return 0
    if not done:
        raise Refused(f"{name} did not take over the clipboard within {limit_s:g} s")
    if process.returncode not in {0, clipboard_owner.UNAVAILABLE}:
        raise Refused(f"{name} could not take over the clipboard")
    return process.returncode


async def _check_display(environment: Mapping[str, str]) -> None:
    """Raises Refused if the display does not respond."""
    if on_wayland(environment):
        (await Wayland.connect(environment)).close()
        return
    async with XServer.connected(environment):
        pass


def _text_kind(environment: Mapping[str, str]) -> str:
    return "text/plain;charset=utf-8" if on_wayland(environment) else "UTF8_STRING"


def _primary(selection: Selection) -> list[str]:
    return ["--primary"] if selection is Selection.PRIMARY else []
