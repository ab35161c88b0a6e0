"""coldvox-type in Wayland: foot in a private headless sway, with wtype and wl-clipboard."""

import subprocess

import pytest

from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop


async def test_unicode_is_typed_exactly(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    window = sway_desktop.foot("typed")
    text = "Grüße an Zoë — 5 €, жить, 日本語, ok 😀."
    assert await sway_client.hear(text) == "delivered session=1 utterance=1 method=type application=foot"
    await window.wait_for(text)


async def test_what_is_long_is_pasted_and_the_clipboard_is_as_before(
    sway_desktop: SwayDesktop, sway_client: TypingClient, long_text: str
) -> None:
    sway_desktop.copy("précieux")
    window = sway_desktop.foot("pasted")
    sway_client.settings.write_text('method = "paste"\n')
    assert (
        await sway_client.hear("Short.", long_text) == "delivered session=1 utterance=2 method=paste application=foot"
    )
    await window.wait_for(f"Short.{long_text}")
    assert sway_desktop.clipboard() == "précieux"


async def test_an_empty_clipboard_stays_empty(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    sway_desktop.run("wl-copy", "--clear")
    window = sway_desktop.foot("empty")
    sway_client.settings.write_text('[applications.foot]\nmethod = "paste"\n')
    await sway_client.hear("Pasted.")
    await window.wait_for("Pasted.")
    with pytest.raises(subprocess.CalledProcessError):
        sway_desktop.clipboard()


async def test_without_a_window_the_text_is_in_the_clipboard_and_last_offers_it(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_desktop.run("swaymsg", "workspace empty")
    told = await sway_client.hear("To no one.")
    assert told == "failed session=1 utterance=1 method=clipboard: no window has the focus; it is in the clipboard"
    assert sway_desktop.clipboard() == "To no one."
    window = sway_desktop.foot("later")
    assert await sway_client.last() == (0, "delivered earlier=undelivered method=type application=foot")
    await window.wait_for("To no one.")


async def test_where_keys_are_refused_the_text_is_in_the_clipboard(
    sway_desktop: SwayDesktop, sway_client: TypingClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A fake wtype fails with the message that it prints on GNOME."""
    refusing = tmp_path_factory.mktemp("bin")
    (refusing / "wtype").write_text(
        "#!/bin/sh\necho 'Compositor does not support the virtual keyboard protocol' >&2\nexit 1\n"
    )
    (refusing / "wtype").chmod(0o755)
    sway_client.end()
    sway_client.environment["PATH"] = f"{refusing}:{sway_client.environment['PATH']}"
    await sway_client.begin()
    window = sway_desktop.foot("refused")
    told = await sway_client.hear("Refused.")
    assert told == (
        "failed session=1 utterance=1 method=clipboard application=foot: "
        "wtype failed: Compositor does not support the virtual keyboard protocol; it is in the clipboard"
    )
    assert sway_desktop.clipboard() == "Refused."
    assert window.text == ""
