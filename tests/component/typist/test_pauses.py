"""Speech with pauses, a real daemon and a real window: the window has the text of the session, character by character."""

from pathlib import Path

import pytest

from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon
from tests.support.desktop.spoken_text import Dictation, dictation
from tests.support.desktop.typing_client import TypingProcess
from tests.support.desktop.windows import SwayDesktop, Window, XDesktop, lacking_gtk
from tests.support.eventually import eventually
from tests.support.sound import pauses

SENTENCE, QUESTION = "We will read this report on Friday.", "Where is the old report?"

pytestmark = pytest.mark.heavy


async def check(dictating: Dictation, window: Window) -> None:
    """Dictate sentences with pauses and without in sessions of their own."""
    expected = []
    plain = pauses.said(SENTENCE).wave()
    question = pauses.said(QUESTION).wave()
    for wave, text in (
        (plain, SENTENCE),
        *((pauses.with_pause(sentence), sentence) for sentence in pauses.CUT),
        (pauses.joined(plain, question), f"{SENTENCE} {QUESTION}"),
        (pauses.joined(plain, question, pause_s=3.2), f"{SENTENCE} {QUESTION}"),
    ):
        assert await dictating.speak(wave) == text
        expected.append(text)
        await window.wait_for(" ".join(expected))


@pytest.mark.parametrize("settings", ["", 'method = "paste"\n'], ids=["typed", "pasted"])
async def test_a_sentence_with_pauses_is_one_in_x11(tk_desktop: XDesktop, tmp_path: Path, settings: str) -> None:
    name = "x-pasted" if settings else "x-typed"
    async with dictation(tk_desktop, tmp_path, settings) as dictating:
        window = tk_desktop.tk(name)
        tk_desktop.focus(name)
        await check(dictating, window)


async def test_a_daemon_that_is_killed_in_a_pause_leaves_a_whole_text(tk_desktop: XDesktop, tmp_path: Path) -> None:
    """The next daemon ends the session, and may send the text again."""
    window = tk_desktop.tk("killed-daemon")
    tk_desktop.focus("killed-daemon")
    with PrivateBus() as bus:
        runtime = bus.directory / "runtime"
        runtime.mkdir(mode=0o700)
        bus.extra_environment = {"XDG_RUNTIME_DIR": str(runtime)}
        typing = TypingProcess(bus.address, tk_desktop.environment, tmp_path)
        await typing.begin()
        async with daemon(bus, tmp_path) as running, running.client() as client:
            await client.call("StartDictation")
            await running.speak(pauses.said(SENTENCE))
            await window.wait_for(SENTENCE[:-1])
            running.kill()
        async with daemon(bus, tmp_path):
            await window.wait_for(SENTENCE)
            await eventually(lambda: typing.place["mark"] == "", what="the mark")
        assert typing.end() == 0
    assert window.text == SENTENCE


@pytest.mark.parametrize("settings", ["", 'method = "paste"\n'], ids=["typed", "pasted"])
async def test_a_sentence_with_pauses_is_one_in_sway(sway_desktop: SwayDesktop, tmp_path: Path, settings: str) -> None:
    if reason := lacking_gtk("3.0"):
        pytest.skip(reason)
    async with dictation(sway_desktop, tmp_path, settings) as dictating:
        await check(dictating, sway_desktop.gtk("sway-pasted" if settings else "sway-typed", "3.0"))
