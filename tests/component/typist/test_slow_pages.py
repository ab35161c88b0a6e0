"""Pastes into browsers of Chromium's kind: the page may read the clipboard seconds after the browser's main process."""

import os

import pytest

from coldvoxd.typist.browsers import SURELY_SINGLE, Browser, is_chromium
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.paste_readers import LATE_S, Finding, Paste, Taken, examine
from tests.support.desktop.page import browser, served
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually

TYPED = "Please close the window and open the list, then send the report to Peter."
PASTED = "Grüße 😀 an alle."
INPUT_MS = 60
"""Milliseconds that the page needs for each key: it gets to the paste four seconds after the chord."""


def over(fetched_s: list[float], reads: int) -> tuple[Finding, float]:
    """Return the finding on a text pasted at 0.1 s, and the time at which the paste is over."""
    for step in range(400):
        now_s = 0.1 + step / 20
        paste = Paste(0.0, 0.1, [time_s for time_s in fetched_s if time_s <= now_s], reads=reads)
        finding = examine(paste, now_s)
        if finding.over(paste, now_s):
            return finding, now_s
    raise AssertionError("never over")


@pytest.mark.parametrize("page_s", [0.12, 1.2, 4.6, 9.5])
def test_a_paste_into_a_browser_is_over_after_the_fetch_of_its_page(page_s: float) -> None:
    finding, over_s = over([0.11, page_s], reads=2)
    assert finding.taken is Taken.BY_WINDOW
    assert page_s < over_s < page_s + 2.0


def test_a_page_that_has_not_fetched_is_waited_for_as_long_as_a_window_that_stalls() -> None:
    finding, over_s = over([0.11], reads=2)
    assert finding.taken is Taken.PARTLY
    assert over_s >= LATE_S


def test_a_browser_that_always_fetches_once_is_believed_until_it_fetches_twice() -> None:
    one = Browser()
    for _ in range(SURELY_SINGLE):
        assert one.reads == 2
        one.note(1)
    assert one.reads == 1
    one.note(2)
    assert one.reads == 2
    for _ in range(SURELY_SINGLE):
        one.note(1)
    assert one.reads == 2, "its page was busy, or had no text field"


def test_programs_that_contain_chromium_are_recognized_by_their_files_or_names() -> None:
    assert is_chromium(Focus("1", "chromium"))
    assert not is_chromium(Focus("1", "xterm", process=os.getpid()))
    assert not is_chromium(Focus("1", "gone", process=2**22 + 1))
    assert not is_chromium(Focus("", ""))


@pytest.mark.heavy
@pytest.mark.programs("chromium")
async def test_a_slow_page_gets_the_text_on_x11(x_desktop: XDesktop, x_client: TypingClient) -> None:
    with served(input_ms=INPUT_MS) as page, browser(x_desktop, page, "x11") as window:
        await eventually(lambda: page.loaded, what="the page")
        assert is_chromium(Focus("1", "an-application", process=window.process.pid))
        x_desktop.focus("page")
        await eventually(lambda: page.focused, what="the focus")
        x_desktop.copy("précieux")
        await x_client.say_all(TYPED, PASTED, PASTED)
        await page.wait_for(f"{TYPED} {PASTED} {PASTED}")
        await eventually(lambda: len(x_client.told) == 3, what="the outcomes")
        assert x_client.told[-1] == "delivered session=1 utterance=3 method=paste application=chromium"
        await eventually(lambda: x_desktop.clipboard() == "précieux", what="what was copied")


@pytest.mark.heavy
@pytest.mark.programs("chromium")
async def test_a_slow_page_gets_the_text_in_sway(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    with served(input_ms=INPUT_MS) as page, browser(sway_desktop, page, "wayland"):
        await eventually(lambda: page.loaded, what="the page")
        await sway_client.hear("Hi.")  # the page has no focus before there is a keyboard
        await page.wait_for("Hi.")
        sway_desktop.copy("précieux")
        await sway_client.say_all(TYPED, PASTED, PASTED)
        await page.wait_for(f"Hi. {TYPED} {PASTED} {PASTED}")
        await eventually(lambda: len(sway_client.told) == 4, what="the outcomes")
        assert [line.split()[0] for line in sway_client.told] == ["delivered"] * 4
        await eventually(lambda: sway_desktop.clipboard() == "précieux", what="what was copied")
