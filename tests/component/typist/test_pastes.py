"""The content of the clipboard during and after a paste, and what is reported: X11, sway and the portal alike."""

import asyncio
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from coldvoxd.typist import wayland_keys
from coldvoxd.typist.clipboard import ProgramBoard, ProgramOffer
from coldvoxd.typist.clipboard_loan import Loan, Press, Verdict
from coldvoxd.typist.delivery import Attempt, Outcome, Result
from coldvoxd.typist.errors import Refused
from coldvoxd.typist.paste_readers import Finding, Paste, Taken, examine
from coldvoxd.typist.settings import Method, Selection
from coldvoxd.typist.virtual_keyboard import VirtualKeyboards
from coldvoxd.typist.wayland import Wayland
from tests.support.bus.portal import PortalDesktop
from tests.support.desktop.typing_client import TypingClient, notifications, typing_client
from tests.support.desktop.windows import SwayDesktop, Window, XDesktop
from tests.support.eventually import eventually

PASTE = 'method = "paste"\n'
DEAF = 'method = "paste"\nchord = "F9"\n'
IN_CLIPBOARD = (
    "a program polls the clipboard, so it is unknown whether the window read it; the text is in the clipboard"
)


def over(fetched_s: list[float], *, period_s: float = 0.0) -> tuple[Finding, float]:
    """Return the finding on a text offered at 0 s and pasted at 0.1 s, and the time at which the paste is over."""
    for step in range(200):
        now_s = 0.1 + step / 20
        paste = Paste(0.0, 0.1, [time_s for time_s in fetched_s if time_s <= now_s], period_s=period_s)
        finding = examine(paste, now_s)
        if finding.over(paste, now_s):
            return finding, now_s
    raise AssertionError("never over")


@pytest.mark.parametrize(
    ("fetched_s", "taken"),
    [
        ([], Taken.BY_NONE),
        ([0.05], Taken.BY_NONE),
        ([0.12], Taken.BY_WINDOW),
        ([0.05, 0.12, 0.38], Taken.BY_WINDOW),
        ([1.2], Taken.UNCLEAR),
        ([0.3 + 0.5 * beat for beat in range(20)], Taken.BY_READER),
        ([0.3 + 0.55 * beat for beat in range(20)], Taken.BY_READER),
        (sorted([0.12, 0.38, *(0.3 + 0.5 * beat for beat in range(20))]), Taken.BY_WINDOW),
        ([0.6 + 1.05 * beat for beat in range(10)], Taken.BY_READER),
        ([0.2, 0.65, 1.35, 1.85, 2.35], Taken.BY_READER),
    ],
)
def test_a_fetch_is_the_windows_where_no_readers_rhythm_explains_it(fetched_s: list[float], taken: Taken) -> None:
    assert over(fetched_s)[0].taken is taken


def test_a_reader_that_is_known_explains_a_single_fetch() -> None:
    assert over([0.4, 2.4, 4.4], period_s=2.0)[0].taken is Taken.BY_READER
    assert over([0.12, 0.4, 2.4, 4.4], period_s=2.0)[0].taken is Taken.BY_WINDOW


def test_the_clipboard_is_held_until_nothing_was_fetched_for_a_second() -> None:
    _, ended_s = over([0.12, 0.4])
    assert ended_s > 1.4


@pytest.fixture
def slow_page(tk_desktop: XDesktop) -> Iterator[Window]:
    """A window that fetches a paste twice, as Chromium does, the second time after its main thread was busy."""
    window = tk_desktop.tk("page", kind="page")
    tk_desktop.focus("page")
    yield window
    window.process.kill()
    window.process.wait()


class SwayPage:
    """A program, started by Ctrl+V in this sway, that fetches a paste twice, as Chromium does."""

    def __init__(self, desktop: SwayDesktop) -> None:
        self.file = desktop.directory / "pasted"
        self.file.unlink(missing_ok=True)
        script = desktop.directory / "page.sh"
        script.write_text(f"wl-paste --no-newline >/dev/null; sleep 0.3; wl-paste --no-newline >>{self.file}\n")
        desktop.run("swaymsg", "bindsym", "F8", "exec", "sh", str(script))

    @property
    def text(self) -> str:
        return self.file.read_text() if self.file.exists() else ""


async def test_a_page_that_fetches_twice_gets_the_text_and_not_what_was_copied_before(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    tk_desktop.copy("old")
    x_client.settings.write_text(PASTE)
    for number in range(3):
        await x_client.hear(f"Text {number}.")
    await slow_page.wait_for("Text 0. Text 1. Text 2.")
    assert [line.split()[0] for line in x_client.told] == ["delivered"] * 3
    assert tk_desktop.clipboard() == "old"


async def test_a_text_does_not_wait_for_the_clipboards_return_and_that_is_of_what_was_copied_first(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    tk_desktop.copy("old")
    x_client.settings.write_text(PASTE)
    await x_client.say_all("One.", "Two.", "Three.")
    await slow_page.wait_for("One. Two. Three.")
    with x_client.stopped():
        assert tk_desktop.clipboard() == " Three."
    await eventually(lambda: len(x_client.told) == 3, what="all outcomes")
    assert tk_desktop.clipboard() == "old"


async def test_in_sway_too_a_page_that_fetches_twice_gets_the_text(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    page = SwayPage(sway_desktop)
    sway_desktop.foot("page")
    sway_desktop.copy("old")
    sway_client.settings.write_text('[applications.foot]\nmethod = "paste"\nchord = "F8"\n')
    await sway_client.say_all("One.", "Two.")
    await eventually(lambda: page.text == "One. Two.", what="both texts")
    await eventually(lambda: len(sway_client.told) == 2, what="both outcomes")
    assert [line.split()[0] for line in sway_client.told] == ["delivered", "delivered"]
    assert sway_desktop.clipboard() == "old"


async def fetch_at_a_keyboard(desktop: SwayDesktop) -> None:
    """Fetch the clipboard's content once the seat of this sway gets a keyboard."""
    wayland = await Wayland.connect(desktop.environment)
    try:
        seat = wayland.bind("wl_seat")
        while not any(opcode == 0 and struct.unpack("=I", body)[0] & 2 for opcode, body in wayland.events(seat)):
            await wayland.until_event(seat)
    finally:
        wayland.close()
    await asyncio.to_thread(desktop.clipboard)


@pytest.mark.heavy
async def test_a_fetch_while_the_keyboard_is_plugged_in_is_not_the_windows(
    sway_desktop: SwayDesktop, tmp_path: Path
) -> None:
    sway_desktop.foot("plugged")
    sway_desktop.copy("old")
    keyboards = VirtualKeyboards()
    fetching = asyncio.create_task(fetch_at_a_keyboard(sway_desktop))

    @asynccontextmanager
    async def chord() -> AsyncIterator[Press]:
        async with wayland_keys.chord("F9", keyboards, sway_desktop.environment, "") as press:
            await fetching
            yield press

    loan = Loan(ProgramBoard(sway_desktop.environment, Selection.CLIPBOARD), tmp_path / "lock")
    with pytest.raises(Refused, match="the window did not read the pasted text"):
        await loan.paste("One.", chord)
    await loan.close()
    await keyboards.close()


@dataclass(frozen=True)
class OvertakenBoard(ProgramBoard):
    """A clipboard in which the user copies something right after a text is offered, as often as there are `copies`."""

    desktop: SwayDesktop
    copies: list[str]

    async def offer(self, text: str) -> ProgramOffer:
        offer = await super().offer(text)
        if self.copies:
            self.desktop.copy(self.copies.pop(0))
        return offer


@pytest.mark.parametrize(
    ("copies", "arrives"), [(["newer"], True), (["newer", "newest"], True), (["1", "2", "3"], False)]
)
async def test_what_is_copied_before_the_chord_is_neither_pasted_nor_lost(
    copies: list[str], arrives: bool, sway_desktop: SwayDesktop, tmp_path: Path
) -> None:
    window = await asyncio.to_thread(sway_desktop.foot, f"overtaken-{len(copies)}")
    sway_desktop.copy("old")
    keyboards = VirtualKeyboards()
    board = OvertakenBoard(sway_desktop.environment, Selection.CLIPBOARD, sway_desktop, list(copies))
    loan = Loan(board, tmp_path / "lock")

    def chord() -> AbstractAsyncContextManager[Press]:
        return wayland_keys.chord("ctrl+shift+v", keyboards, sway_desktop.environment, "")

    if arrives:
        verdict = await loan.paste("One.", chord)
        await window.wait_for("One.")
        assert (await verdict).taken is Taken.BY_WINDOW
    else:
        with pytest.raises(Refused, match="another program keeps replacing the content of the clipboard"):
            await loan.paste("One.", chord)
    await loan.close()
    await keyboards.close()
    assert sway_desktop.clipboard() == copies[-1]


async def test_what_is_copied_before_the_clipboards_return_stays(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    tk_desktop.copy("old")
    x_client.settings.write_text(PASTE)
    hearing = asyncio.create_task(x_client.hear("One."))
    await slow_page.wait_for("One.")
    tk_desktop.copy("newer")
    assert (await hearing).startswith("delivered")
    await x_client.hear("Two.")
    await slow_page.wait_for("One. Two.")
    assert tk_desktop.clipboard() == "newer"


async def test_what_is_copied_before_a_window_takes_the_text_stays_and_the_outcome_is_not_known(
    tk_desktop: XDesktop, tmp_path: Path
) -> None:
    tk_desktop.copy("old")
    loan = Loan(ProgramBoard(tk_desktop.environment, Selection.CLIPBOARD), tmp_path / "lock")

    @asynccontextmanager
    async def chord() -> AsyncIterator[Press]:
        async def press() -> None:
            tk_desktop.copy("newer")

        yield press

    verdict = await (await loan.paste("One.", chord))
    assert verdict.taken is Taken.BY_NONE
    await loan.close()
    assert tk_desktop.clipboard() == "newer"


async def test_at_its_end_the_clipboard_is_as_before(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    tk_desktop.copy("old")
    x_client.settings.write_text(PASTE)
    await x_client.say_all("One.")
    await slow_page.wait_for("One.")
    assert await asyncio.to_thread(x_client.end) == 0
    assert tk_desktop.clipboard() == "old"
    assert x_client.told[-1].startswith("delivered")


async def test_a_kill_leaves_the_last_text_in_the_clipboard(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    x_client.settings.write_text(PASTE)
    await x_client.say_all("One.")
    await slow_page.wait_for("One.")
    x_client.kill()
    assert [tk_desktop.clipboard() for _ in range(3)] == ["One."] * 3


async def test_the_last_text_is_there_again_although_it_was_delivered(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    window = tk_desktop.tk("again")
    tk_desktop.focus("again")
    await x_client.hear("One.", "Two.")
    assert await x_client.last() == (0, "delivered earlier=last method=type application=again")
    await window.wait_for("One. Two. Two.")


@pytest.fixture
def x_reader(x_desktop: XDesktop) -> Iterator[None]:
    """A program that reads the clipboard repeatedly."""
    yield from _reading(x_desktop, "xclip -o -selection clipboard")


@pytest.fixture
def sway_reader(sway_desktop: SwayDesktop) -> Iterator[None]:
    yield from _reading(sway_desktop, "wl-paste --no-newline")


def _reading(desktop: XDesktop | SwayDesktop, command: str) -> Iterator[None]:
    loop = f"while :; do {command} >/dev/null 2>&1; sleep 0.4; done"
    reader = desktop.spawn("reader", "sh", "-c", loop)
    yield
    reader.process.kill()
    reader.process.wait()


@pytest.mark.usefixtures("x_reader")
async def test_a_reader_of_the_clipboard_is_not_the_window(tk_desktop: XDesktop, x_client: TypingClient) -> None:
    x_client.settings.write_text(DEAF)
    window = tk_desktop.tk("deaf")
    tk_desktop.focus("deaf")
    async with notifications(x_client) as shown:
        for number in range(1, 3):
            tk_desktop.copy("older")
            told = await x_client.hear(f"Text {number}.")
            assert told.startswith(f"unsure session={number} utterance=1 method=paste application=deaf: ")
            assert tk_desktop.clipboard() == f"Text {number}."
        await eventually(lambda: len(shown.shown) == 2, what="both notifications")
    assert window.text == ""
    assert "Text 1." not in str(shown.shown)
    assert shown.shown[0][3] == "Your text is in the clipboard"


@pytest.mark.usefixtures("sway_reader")
async def test_a_reader_of_the_clipboard_is_not_the_window_in_sway(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_client.settings.write_text('[applications.foot]\nmethod = "paste"\nchord = "F9"\n')
    sway_desktop.foot("deaf")
    sway_desktop.copy("older")
    told = await sway_client.hear("One.")
    assert told == f"unsure session=1 utterance=1 method=paste application=foot: {IN_CLIPBOARD}"
    assert sway_desktop.clipboard() == "One."


@pytest.mark.parametrize("taken", [Taken.BY_READER, Taken.PARTLY])
@pytest.mark.parametrize("left", [True, False])
async def test_a_text_is_reported_to_be_in_the_clipboard_only_if_it_was_left_there(taken: Taken, left: bool) -> None:
    """The next of several texts may have taken its place."""
    pasted: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    pasted.set_result(Verdict(taken, left=left))
    outcome = await Attempt(Outcome(Result.DELIVERED, Method.PASTE, "foot"), pasted=pasted).settled()
    assert (outcome.result, outcome.in_clipboard) == (Result.UNSURE, left)
    assert ("in the clipboard" in outcome.reason) is left


@pytest.fixture
async def portal_client(tmp_path: Path) -> AsyncIterator[TypingClient]:
    environment = {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "WAYLAND_DISPLAY": "none",
        "XDG_CURRENT_DESKTOP": "GNOME",
        "PATH": "/nowhere",
        "HOME": str(tmp_path),
    }
    async with typing_client(environment, tmp_path) as running:
        yield running


async def test_by_the_portal_too_a_page_that_fetches_twice_gets_the_text(portal_client: TypingClient) -> None:
    async with PortalDesktop(portal_client.running.bus.address) as desktop:
        desktop.clipboard = {"text/plain;charset=utf-8": b"old"}
        desktop.fetches_again_s = 0.1  # much less than the client allows, since both may be late on a busy machine
        await portal_client.say_all("One.", "Two.")
        await eventually(lambda: len(desktop.window) >= 9, what="both texts")
        assert desktop.window == "One. Two."
        await eventually(lambda: len(portal_client.told) == 2, what="both outcomes")
        assert [line.split()[0] for line in portal_client.told] == ["delivered", "delivered"]
        await eventually(lambda: desktop.clipboard == {"text/plain;charset=utf-8": b"old"}, what="the old clipboard")


async def test_by_the_portal_too_a_reader_is_not_the_window(portal_client: TypingClient) -> None:
    async with PortalDesktop(portal_client.running.bus.address) as desktop:
        desktop.takes_pastes = False
        desktop.reads_every_s = 0.4
        told = await portal_client.hear("One.")
        assert told == f"unsure session=1 utterance=1 method=portal: {IN_CLIPBOARD}"
        await eventually(lambda: b"One." in desktop.clipboard.values(), what="the text in the clipboard")


async def test_a_clipboard_on_loan_is_not_borrowed_by_last_meanwhile(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    """Otherwise `--last` would save and restore our text instead of the user's."""
    tk_desktop.copy("old")
    x_client.settings.write_text(PASTE)
    await x_client.say_all("One.")
    await slow_page.wait_for("One.")
    assert (await x_client.last())[0] == 0
    await eventually(lambda: slow_page.text.count("One.") == 2, what="the text again")
    assert tk_desktop.clipboard() == "old"


async def test_an_empty_clipboard_is_empty_after_two_pastes(
    tk_desktop: XDesktop, x_client: TypingClient, slow_page: Window
) -> None:
    tk_desktop.forget()
    x_client.settings.write_text(PASTE)
    await x_client.say_all("One.", "Two.")
    await slow_page.wait_for("One. Two.")
    await eventually(lambda: len(x_client.told) == 2, what="both outcomes")
    with pytest.raises(subprocess.CalledProcessError):
        tk_desktop.clipboard()


# Like clipman: takes each copied text over at once, so that it outlives the program that copied it.
_MANAGER = """
import subprocess, sys
text, last = sys.stdin.buffer.read(), sys.argv[1]
try:
    known = open(last, "rb").read()
except FileNotFoundError:
    known = b""
if text != known:
    subprocess.run(["wl-copy", "--type", "text/plain;charset=utf-8"], input=text)
    open(last, "wb").write(text)
"""


@pytest.mark.heavy
async def test_a_clipboard_manager_that_takes_texts_over_does_not_cost_what_was_copied(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    last = sway_desktop.directory / "managed"
    command = ["wl-paste", "--type", "text", "--watch", sys.executable, "-c", _MANAGER, str(last)]
    with subprocess.Popen(command, env=sway_desktop.environment, stderr=subprocess.DEVNULL) as manager:
        try:
            sway_client.settings.write_text('method = "paste"\n')
            window = await asyncio.to_thread(sway_desktop.foot, "managed-window")
            sway_desktop.copy("précieux")
            await eventually(lambda: last.exists() and last.read_text() == "précieux", what="the manager")
            told = await sway_client.hear("One.")
            assert told in {  # whether the window or the manager is first
                "delivered session=1 utterance=1 method=paste application=foot",
                (
                    "unsure session=1 utterance=1 method=paste application=foot: "
                    "a clipboard manager replaced it by its copy, so it is unknown whether the window read it"
                ),
            }
            await sway_client.say_all("Two.", "Three.")
            await window.wait_for("One. Two. Three.")
            await eventually(lambda: len(sway_client.told) == 3, what="the outcomes")
            await eventually(lambda: sway_desktop.clipboard() == "précieux", what="what was copied")
        finally:
            manager.kill()
