"""Copied content of several kinds comes back whole after a paste, is held by a process of our own, and ends with it."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from coldvoxd.typist.clipboard_content import packed
from coldvoxd.typist.clipboard_owner import UNAVAILABLE
from coldvoxd.typist.x11_selection import PART_BYTES
from coldvoxd.typist.x11_wire import XWire
from tests.support.desktop.typing_client import ROOT, TypingClient
from tests.support.desktop.wayland_proxy import wayland_proxy
from tests.support.desktop.windows import SwayDesktop, Window, XDesktop, lacking_gtk
from tests.support.eventually import eventually

PASTE = 'method = "paste"\n'
COPIED = {
    "text/html": "<p>Grüße <b>fett</b></p>".encode(),
    "text/plain;charset=utf-8": "Grüße fett".encode(),
    "image/png": b"\x89PNG" + os.urandom(3 * PART_BYTES),
    "application/x-own": bytes(range(256)),
}
"""The picture is larger than what X11 transfers in one part."""


@pytest.fixture(autouse=True)
def _gtk() -> None:
    if reason := lacking_gtk("4.0"):
        pytest.skip(reason)


@pytest.fixture
def x_copier(tk_desktop: XDesktop) -> Iterator[Window]:
    window = tk_desktop.copier("copier", COPIED)
    yield window
    window.process.kill()
    window.process.wait()


def owners(desktop: XDesktop | SwayDesktop) -> list[int]:
    """Return the processes that hold this desktop's clipboard."""
    found = []
    display = f"{'WAYLAND_' * isinstance(desktop, SwayDesktop)}DISPLAY"
    own = f"{display}={desktop.environment[display]}".encode()
    runtime = f"XDG_RUNTIME_DIR={desktop.environment['XDG_RUNTIME_DIR']}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:  # ended meanwhile
            continue
        if b"coldvoxd.typist.clipboard_owner" in command and own in environment and runtime in environment:
            found.append(int(process.name))
    return found


def all_copied(desktop: XDesktop | SwayDesktop) -> dict[str, bytes]:
    return {kind: desktop.copied(kind) for kind in COPIED}


async def test_on_x11_all_kinds_are_there_after_pastes_and_after_the_clients_death(
    tk_desktop: XDesktop, x_client: TypingClient, x_copier: Window
) -> None:
    before = set(tk_desktop.kinds())
    x_client.settings.write_text(PASTE)
    window = tk_desktop.tk("several-kinds")
    tk_desktop.focus("several-kinds")
    assert (await x_client.hear("One.", "Two.")).startswith("delivered")
    await window.wait_for("One. Two.")
    x_copier.process.kill()
    assert all_copied(tk_desktop) == COPIED
    assert before - set(tk_desktop.kinds()) <= {"SAVE_TARGETS"}
    x_client.kill()
    assert all_copied(tk_desktop) == COPIED
    tk_desktop.copy("newer")
    await eventually(lambda: not owners(tk_desktop), what="the end of the process that held the clipboard")
    assert tk_desktop.clipboard() == "newer"


async def test_if_the_process_for_all_kinds_does_not_start_the_most_informative_one_is_kept(
    tk_desktop: XDesktop, x_client: TypingClient, x_copier: Window
) -> None:
    x_client.settings.write_text(PASTE)
    window = tk_desktop.tk("one-kind")
    tk_desktop.focus("one-kind")
    halted: list[int] = []

    def halt() -> bool:
        for process, command in x_client.children().items():
            if "clipboard_owner" in command and process not in halted:
                os.kill(process, signal.SIGSTOP)
                halted.append(process)
        return bool(halted)

    await asyncio.gather(x_client.hear("One."), eventually(halt, what="the process"))
    await window.wait_for("One.")
    x_copier.process.kill()
    await eventually(lambda: len(x_client.told) == 2, what="two reports")
    reported, outcome = x_client.told
    assert ", only image/png is kept: the process for copied content did not take over the clipboard" in reported
    assert outcome == "delivered session=1 utterance=1 method=paste application=one-kind"
    assert tk_desktop.copied("image/png") == COPIED["image/png"]
    assert not owners(tk_desktop)


async def test_in_sway_all_kinds_are_there_after_a_paste_and_after_the_clients_end(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    copier = await asyncio.to_thread(sway_desktop.copier, "copier", COPIED)
    before = sway_desktop.kinds()
    sway_client.settings.write_text(PASTE)
    window = await asyncio.to_thread(sway_desktop.foot, "several-kinds")
    assert (await sway_client.hear("One.")).startswith("delivered")
    await window.wait_for("One.")
    copier.process.kill()
    assert all_copied(sway_desktop) == COPIED
    assert set(sway_desktop.kinds()) == set(before)
    assert sway_client.end() == 0
    assert all_copied(sway_desktop) == COPIED
    sway_desktop.copy("newer")
    await eventually(lambda: not owners(sway_desktop), what="the end of the process that held the clipboard")
    assert sway_desktop.clipboard() == "newer"


async def test_what_is_copied_between_two_pastes_is_what_comes_back(
    tk_desktop: XDesktop, x_client: TypingClient, x_copier: Window
) -> None:
    x_client.settings.write_text(PASTE)
    window = tk_desktop.tk("in-between")
    tk_desktop.focus("in-between")
    await x_client.hear("One.")
    x_copier.process.kill()
    tk_desktop.copy("newer")
    await x_client.hear("Two.")
    await window.wait_for("One. Two.")
    assert tk_desktop.clipboard() == "newer"


async def test_what_is_copied_while_the_process_starts_is_not_replaced(
    tk_desktop: XDesktop, x_client: TypingClient, x_copier: Window
) -> None:
    del x_copier
    x_client.settings.write_text(PASTE)
    tk_desktop.tk("newer-content")
    tk_desktop.focus("newer-content")
    await x_client.say_all("One.")
    await eventually(lambda: owners(tk_desktop), what="the process that holds the clipboard")
    tk_desktop.copy("newer")
    await eventually(lambda: x_client.told, what="the report")
    await eventually(lambda: not owners(tk_desktop), what="the end of the process that held the clipboard")
    assert tk_desktop.clipboard() == "newer"


def hold(environment: dict[str, str], content: dict[str, bytes]) -> "subprocess.CompletedProcess[str]":
    """Run the process that holds `content` in the background."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "coldvoxd.typist.clipboard_owner", "clipboard"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        input=b"".join(packed(content)).decode("latin-1"),
        encoding="latin-1",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def test_a_desktop_that_gives_its_clipboard_to_no_program_is_said_in_a_sentence(sway_desktop: SwayDesktop) -> None:
    environment = sway_desktop.environment
    with wayland_proxy(Path(environment["XDG_RUNTIME_DIR"]), environment["WAYLAND_DISPLAY"], "no-control") as proxy:
        proxy.hidden = b"zwlr_data_control_manager_v1"
        ended = hold(environment | {"WAYLAND_DISPLAY": proxy.path.name}, {"text/html": b"a", "text/plain": b"b"})
    assert ended.returncode == UNAVAILABLE
    assert ended.stderr == (
        "the compositor does not offer ext_data_control_manager_v1 or zwlr_data_control_manager_v1\n"
    )


def test_without_a_desktop_the_process_says_so(x_desktop: XDesktop) -> None:
    ended = hold(x_desktop.environment | {"DISPLAY": ":4711"}, {"text/html": b"a"})
    assert ended.returncode == 1
    assert ended.stderr.startswith("cannot connect to the X server: ")


class Requestor:
    """A client of the X server that asks for the clipboard in unusual ways."""

    def __init__(self, wire: XWire) -> None:
        self.wire = wire
        self.window = wire.new_identifier()
        place = struct.pack("<IIhhHHHHIII", self.window, wire.root, 0, 0, 1, 1, 0, 2, 0, 1 << 11, 1 << 22)
        wire.send(1, 0, place)

    async def ask(self, target: str, name: str) -> bool:
        """Ask for the content of a type in a property; return whether the owner has answered with it."""
        atoms = [await self.wire.atom(word) for word in ("CLIPBOARD", target, name)]
        self.wire.send(24, 0, struct.pack("<IIIII", self.window, *atoms, 0))
        while (event := await self.wire.event())[0] & 0x7F != 31:
            pass
        return bool(struct.unpack_from("<I", event, 20)[0])

    async def set(self, name: str, kind: str, *atoms: str) -> None:
        numbers = [await self.wire.atom(word) for word in atoms]
        body = struct.pack("<I", self.window) + struct.pack(
            "<II", await self.wire.atom(name), await self.wire.atom(kind)
        )
        self.wire.send(
            18, 0, body + struct.pack("<BxxxI", 32, len(numbers)) + struct.pack(f"<{len(numbers)}I", *numbers)
        )

    async def get(self, name: str) -> tuple[int, bytes]:
        """Return the type and the value of a property, which is deleted."""
        body = struct.pack("<IIIII", self.window, await self.wire.atom(name), 0, 0, PART_BYTES)
        reply = await self.wire.ask(20, 1, body)
        kind, count = struct.unpack_from("<I4xI", reply, 8)
        return kind, reply[32 : 32 + count * reply[1] // 8]


@pytest.fixture
async def requestor(x_desktop: XDesktop) -> AsyncIterator[Requestor]:
    wire = await XWire.connect(x_desktop.environment)
    yield Requestor(wire)
    wire.close()


async def test_several_types_are_served_in_one_request_and_unknown_ones_refused(
    x_desktop: XDesktop, requestor: Requestor
) -> None:
    assert hold(x_desktop.environment, {"text/html": b"<b>", "TEXT": b"b", "x-own": b""}).returncode == 0
    assert not await requestor.ask("image/png", "ANY")
    await requestor.set("PAIRS", "ATOM_PAIR", "text/html", "FIRST", "image/png", "SECOND", "TEXT", "THIRD")
    assert await requestor.ask("MULTIPLE", "PAIRS")
    assert await requestor.get("FIRST") == (await requestor.wire.atom("text/html"), b"<b>")
    assert await requestor.get("THIRD") == (await requestor.wire.atom("UTF8_STRING"), b"b")
    _, pairs = await requestor.get("PAIRS")
    assert struct.unpack("<6I", pairs)[3] == 0
    assert await requestor.ask("x-own", "EMPTY")
    assert await requestor.get("EMPTY") == (await requestor.wire.atom("x-own"), b"")


async def test_a_program_that_disappears_in_the_middle_of_large_content_is_no_hindrance(
    x_desktop: XDesktop, requestor: Requestor
) -> None:
    picture = os.urandom(5 * PART_BYTES + 1)
    assert hold(x_desktop.environment, {"image/png": picture, "text/html": b"<b>"}).returncode == 0
    gone = Requestor(await XWire.connect(x_desktop.environment))
    assert await gone.ask("image/png", "PART")
    await gone.get("PART")  # the first part is on its way
    gone.wire.close()
    assert await requestor.ask("image/png", "PART")  # and never read on
    assert x_desktop.copied("image/png") == picture
    x_desktop.copy("newer")
    await requestor.get("PART")
    parts = b""
    while part := await eventually_part(requestor):
        parts += part
    assert parts == picture
    await eventually(lambda: not owners(x_desktop), what="the end of the process that held the clipboard")


async def eventually_part(requestor: Requestor) -> bytes:
    """Return the next part of large content, which deletes it; empty at its end."""
    name = await requestor.wire.atom("PART")
    while True:
        event = await requestor.wire.event()
        if event[0] & 0x7F == 28 and struct.unpack_from("<I", event, 8)[0] == name and event[16] == 0:
            return (await requestor.get("PART"))[1]
