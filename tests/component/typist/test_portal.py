"""coldvox-type if the desktop's portal presses the keys, as in GNOME's and KDE's Wayland sessions."""

import asyncio
import json
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coldvoxd.bus.connection import Connection
from coldvoxd.typist.portal import Permission, RemoteDesktop
from coldvoxd.typist.shortcut_keys import HELD_S
from tests.support.bus.portal import NO, PortalDesktop
from tests.support.desktop.typing_client import TypingClient, typing_client
from tests.support.eventually import eventually

LONG = ("Grüße an Zoë — 5 €, жить, 日本語, ok 😀. " * 400)[:10_000]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TypingClient]:
    environment = {
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "WAYLAND_DISPLAY": "none",
        "XDG_CURRENT_DESKTOP": "ubuntu:GNOME",
        "PATH": f"{tmp_path}/bin",
        "HOME": str(tmp_path),
    }
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "wl-copy").write_text(f"#!/bin/sh\nexec /bin/cat >{tmp_path}/copied\n")
    (programs / "wl-copy").chmod(0o755)
    async with typing_client(environment, tmp_path) as running:
        yield running


@pytest.fixture
async def desktop(client: TypingClient) -> AsyncIterator[PortalDesktop]:
    async with PortalDesktop(client.running.bus.address) as running:
        yield running


def kept(tmp_path: Path) -> Path:
    return tmp_path / "state/coldvoxd/keyboard.json"


async def test_what_is_said_is_pasted_and_the_person_is_asked_once(
    client: TypingClient, desktop: PortalDesktop, tmp_path: Path
) -> None:
    assert await client.hear("One.", "Two ó.") == "delivered session=1 utterance=2 method=portal"
    assert (desktop.window, desktop.questions) == ("One. Two ó.", 1)
    assert stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o600
    await asyncio.to_thread(client.end)
    await eventually(lambda: not desktop.sessions, what="the session being released")
    await client.begin()
    await client.hear(" Three.")
    assert (desktop.window, desktop.questions) == ("One. Two ó. Three.", 1)


async def test_a_mark_is_pasted_with_the_next_text_or_at_the_end_of_the_session(
    client: TypingClient, desktop: PortalDesktop
) -> None:
    client.start()
    await client.hear_next("", "I would like", "?")
    client.close_sentence()
    await client.hear_next("? ", "To order", "\u2026")
    assert desktop.window == "I would like? To order"
    client.stop()
    await eventually(lambda: desktop.window == "I would like? To order\u2026", what="the mark")


async def test_nothing_is_pasted_while_the_keys_that_ended_the_session_may_be_down(
    client: TypingClient, desktop: PortalDesktop
) -> None:
    client.start()
    await client.hear_next("", "I would like", ".")
    ended_s = time.monotonic()
    client.stop()
    await eventually(lambda: desktop.window == "I would like.", what="the mark")
    assert desktop.pasted_s[-1] - ended_s >= HELD_S


async def test_a_mark_is_not_left_in_the_clipboard(client: TypingClient, desktop: PortalDesktop) -> None:
    desktop.clipboard = {"text/plain;charset=utf-8": b"copied before"}
    client.start()
    await client.hear_next("", "I would like", ".")
    desktop.takes_pastes = False
    client.stop()
    await eventually(lambda: len(client.told) == 2, what="the report")
    assert client.told[1].startswith("the final mark of session=1 utterance=1 was not written: ")
    await asyncio.to_thread(client.end)
    assert desktop.clipboard == {"text/plain;charset=utf-8": b"copied before"}


async def test_a_long_text_is_exact_and_the_clipboard_is_as_before(
    client: TypingClient, desktop: PortalDesktop
) -> None:
    before = {"image/png": b"\x89PNG" * 50_000, "text/plain;charset=utf-8": "précieux".encode()}
    desktop.clipboard = dict(before)
    await client.hear(LONG)
    assert desktop.window == LONG.strip()
    await eventually(lambda: desktop.clipboard == {"image/png": before["image/png"]}, what="the clipboard as before")


async def test_a_refusal_is_told_and_not_asked_again(
    client: TypingClient, desktop: PortalDesktop, tmp_path: Path
) -> None:
    desktop.answers = [NO]
    told = await client.hear("One.")
    assert told == (
        "failed session=1 utterance=1 method=clipboard: you denied the permission to press keys; "
        "run `coldvox-type --allow` to be asked again; the text is in the clipboard"
    )
    assert (tmp_path / "copied").read_text() == "One."
    assert (await client.hear("Two.")).startswith(
        "failed session=2 utterance=1 method=clipboard: the permission to press keys was denied"
    )
    assert (desktop.window, desktop.questions, desktop.sessions) == ("", 1, {})
    assert await client.allow() == (0, "allowed")
    assert await client.hear("Three.") == "delivered session=3 utterance=1 method=portal"
    assert (desktop.window, desktop.questions) == ("Three.", 2)


async def test_a_session_that_the_desktop_ended_is_begun_again(client: TypingClient, desktop: PortalDesktop) -> None:
    await client.hear("One.")
    desktop.close_sessions()
    assert await client.hear("Two.") == "delivered session=2 utterance=1 method=portal"
    assert (desktop.window, desktop.questions) == ("One. Two.", 1)


async def test_a_session_in_which_keys_are_refused_is_opened_again_once(
    client: TypingClient, desktop: PortalDesktop
) -> None:
    await client.hear("One.")
    desktop.stale = True
    assert await client.hear("Two.") == "delivered session=2 utterance=1 method=portal"
    assert (desktop.window, desktop.questions, len(desktop.sessions)) == ("One. Two.", 1, 1)


async def test_a_portal_that_hangs_costs_seconds_and_the_text_is_in_the_clipboard(
    client: TypingClient, desktop: PortalDesktop, tmp_path: Path
) -> None:
    """Each call of an open session is bounded, and the session is opened again once."""
    await client.hear("One.")
    desktop.hangs = True
    hearing = asyncio.create_task(client.hear("Two."))
    await eventually(lambda: len(client.told) == 2, patience_s=40, what="the report")
    assert (await hearing).startswith(
        "failed session=2 utterance=1 method=clipboard: the desktop's portal failed: the desktop's portal did not reply"
    )
    assert (tmp_path / "copied").read_text().strip() == "Two."
    desktop.hangs = False
    assert await client.hear("Three.") == "delivered session=3 utterance=1 method=portal"
    assert desktop.window == "One.Three."


@pytest.mark.parametrize(("gives_tokens", "sessions"), [(True, 2), (False, 1)])
async def test_without_a_token_the_session_stays_open_so_that_the_user_is_asked_once(
    client: TypingClient, desktop: PortalDesktop, tmp_path: Path, gives_tokens: bool, sessions: int
) -> None:
    """With a token, an idle session is closed, and the next one is opened without a question."""
    desktop.gives_tokens = gives_tokens
    connection = await Connection.open(client.running.bus.address)
    remote = RemoteDesktop(connection, tmp_path / "lock", Permission(tmp_path / "keyboard.json"), idle_s=0)
    opened = []
    for _ in range(2):
        async with remote.session() as session:
            opened.append(session)
        for _ in range(3):  # the session is idle now, and closes
            await asyncio.sleep(0)
    await remote.close()
    await connection.aclose()
    assert (len({*map(id, opened)}), desktop.questions) == (sessions, 1)


async def test_a_permission_that_was_revoked_is_asked_for_again(client: TypingClient, desktop: PortalDesktop) -> None:
    await client.hear("One.")
    desktop.close_sessions()
    desktop.tokens.clear()
    desktop.answers = [NO]
    assert (await client.hear("Two.")).startswith(
        "failed session=2 utterance=1 method=clipboard: you denied the permission"
    )
    assert (desktop.window, desktop.questions) == ("One.", 2)


async def test_a_window_that_takes_nothing_is_told(client: TypingClient, desktop: PortalDesktop) -> None:
    desktop.takes_pastes = False
    assert (
        await client.hear("One.")
        == "failed session=1 utterance=1 method=clipboard: the window did not read the pasted text; the text is in the clipboard"
    )
    assert await asyncio.to_thread(client.end) == 0
    assert b"One." in desktop.clipboard.values()


async def test_a_key_that_the_portal_does_not_know_is_told(client: TypingClient, desktop: PortalDesktop) -> None:
    client.settings.write_text('chord = "ctrl+ß"\n')
    assert (await client.hear("One.")).startswith(
        "failed session=1 utterance=1 method=clipboard: ß is not a key that the portal can press"
    )
    assert desktop.window == ""


async def test_a_desktop_without_a_portal_leaves_it_in_the_clipboard(client: TypingClient, tmp_path: Path) -> None:
    told = await client.hear("One.")
    assert (
        told
        == "failed session=1 utterance=1 method=clipboard: this desktop has no portal for pressing keys (RemoteDesktop); the text is in the clipboard"
    )
    assert (tmp_path / "copied").read_text() == "One."
    assert await client.allow() == (1, "this desktop has no portal for pressing keys (RemoteDesktop)")


async def test_a_portal_that_ends_in_the_middle_of_its_question_is_told(
    client: TypingClient, desktop: PortalDesktop
) -> None:
    desktop.answers = [None]
    hearing = asyncio.create_task(client.hear("One."))
    await eventually(lambda: desktop.questions == 1, what="the question")
    await desktop.end()
    assert (await hearing).startswith("failed session=1 utterance=1 method=clipboard: the desktop's portal failed")


async def test_what_is_kept_and_makes_no_sense_is_as_nothing(
    client: TypingClient, desktop: PortalDesktop, tmp_path: Path
) -> None:
    kept(tmp_path).parent.mkdir(parents=True)
    for nonsense in ("[]", "{", json.dumps({"token": 7})):
        kept(tmp_path).write_text(nonsense)
        desktop.close_sessions()
        await client.hear("One.")
    assert (desktop.window, desktop.questions) == ("One. One. One.", 3)
