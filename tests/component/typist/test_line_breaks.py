"""Line breaks, tabs and all kinds of spaces arrive as themselves; line breaks and tabs press no keys."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.desktop.page import browser, served
from tests.support.desktop.shells import press_enter, shell_window
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import SwayDesktop, XDesktop, lacking_gtk, lacking_qt, lacking_tk
from tests.support.eventually import eventually

LINES = "One:\n\ttwo \u00a0 and\u202fthree\u3000.\n\nEnd.\n"
SPACES = "Prix\u00a0: 1\u202f500\u00a0€, ou\u20092\u3000."
COMMANDS = "cat now >>ran\ncat now >>ran # end\n"
"""Lines for a shell, which record when they run."""
TERMINAL = "terminal"
CHROMIUM = pytest.param("Chromium", marks=pytest.mark.programs("chromium"))
WINDOWS = [TERMINAL, "GTK 3.0", "GTK 4.0", "PyQt5", "PyQt6", CHROMIUM]
WAITS = [pytest.param(shell, True, marks=pytest.mark.programs(shell)) for shell in ("bash", "zsh", "fish")]
"""Whether a shell waits for Enter after a paste of several lines."""
SHELLS = [*WAITS, pytest.param("dash", False, marks=pytest.mark.programs("dash"))]
Content = Callable[[], str]


@asynccontextmanager
async def shown(desktop: XDesktop | SwayDesktop, kind: str) -> AsyncIterator[Content]:
    """Show a window with a text field, or a terminal; yield a function that returns its content."""
    toolkit, _, version = kind.partition(" ")
    lacking = {"GTK": lambda: lacking_gtk(version), "Tk": lacking_tk}.get(toolkit, lambda: "")
    if reason := lacking_qt(kind) if toolkit.startswith("PyQt") else lacking():
        pytest.skip(reason)
    name = f"{type(desktop).__name__}-{toolkit}-{version}".lower()
    if kind == "Chromium":
        with served() as page, browser(desktop, page, "x11" if isinstance(desktop, XDesktop) else "wayland"):
            await eventually(lambda: page.loaded, what="the page")
            await asyncio.to_thread(desktop.focus, "page")
            yield lambda: page.content
        return
    if toolkit == "GTK":
        window = desktop.gtk(name, version)
    elif toolkit.startswith("PyQt"):
        window = desktop.qt(name, kind)
    elif toolkit == "Tk":
        window = desktop.tk(name)
        desktop.focus(name)
    else:
        window = desktop.xterm(name) if isinstance(desktop, XDesktop) else desktop.foot(name)
    yield lambda: window.text
    window.process.kill()
    window.process.wait()


async def arrives(content: Content, text: str, kind: str) -> None:
    """Wait until a window has `text`. A terminal sends what its Enter key sends for a line break."""
    expected = text.replace("\n", "\r") if kind == TERMINAL else text
    await eventually(lambda: content() == expected, what=repr(expected))


@pytest.mark.parametrize("kind", [*WINDOWS, "Tk"])
async def test_lines_and_spaces_are_pasted_exactly_on_x11(
    x_desktop: XDesktop, x_client: TypingClient, kind: str
) -> None:
    async with shown(x_desktop, kind) as content:
        assert "method=paste" in await x_client.hear(LINES)
        await arrives(content, LINES, kind)
        assert "method=paste" in await x_client.hear(SPACES)
        await arrives(content, LINES + SPACES, kind)


@pytest.mark.parametrize("kind", WINDOWS)
async def test_lines_are_pasted_and_spaces_are_typed_exactly_in_wayland(
    sway_desktop: SwayDesktop, sway_client: TypingClient, kind: str
) -> None:
    async with shown(sway_desktop, kind) as content:
        assert "method=paste" in await sway_client.hear(LINES)
        await arrives(content, LINES, kind)
        assert "method=type" in await sway_client.hear(SPACES)
        await arrives(content, LINES + SPACES, kind)


@pytest.mark.parametrize(("shell", "waits"), SHELLS)
async def test_a_shell_waits_for_enter_on_x11(
    x_desktop: XDesktop, x_client: TypingClient, tmp_path: Path, shell: str, *, waits: bool
) -> None:
    await lines_go_to_a_shell(x_desktop, x_client, shell, tmp_path, waits=waits)


@pytest.mark.parametrize(("shell", "waits"), SHELLS)
async def test_a_shell_waits_for_enter_in_wayland(
    sway_desktop: SwayDesktop, sway_client: TypingClient, tmp_path: Path, shell: str, *, waits: bool
) -> None:
    await lines_go_to_a_shell(sway_desktop, sway_client, shell, tmp_path, waits=waits)


async def lines_go_to_a_shell(
    desktop: XDesktop | SwayDesktop, client: TypingClient, shell: str, home: Path, *, waits: bool
) -> None:
    """Dictate commands, then press Enter if the shell waits for it; check when they ran."""
    now, ran = desktop.directory / "now", desktop.directory / "ran"
    now.write_text("dictated\n")
    ran.write_text("")

    def have_run() -> bool:
        return ran.read_text().count("\n") == COMMANDS.count("\n")

    window = shell_window(desktop, f"{type(desktop).__name__}-{shell}".lower(), shell, home)
    prompt = len(window.bytes)
    await client.hear(COMMANDS)
    await eventually(lambda: b"end" in window.bytes[prompt:] or have_run(), what="the last line")
    if waits:
        now.write_text("entered\n")
        press_enter(desktop)
    await eventually(have_run, what="both commands")
    assert ran.read_text() == ("entered\n" if waits else "dictated\n") * 2
    window.process.kill()
    window.process.wait()


async def test_with_the_method_type_they_are_the_keys_enter_and_tab_on_x11(
    x_desktop: XDesktop, x_client: TypingClient
) -> None:
    x_client.settings.write_text('[applications.xterm]\nmethod = "type"\n')
    window = x_desktop.xterm("x-keys")
    assert "method=type" in await x_client.hear("One\tTwo\r\nThree\n")
    await window.wait_for("One\tTwo\rThree\r")


async def test_with_the_method_type_they_are_the_keys_enter_and_tab_in_wayland(
    sway_desktop: SwayDesktop, sway_client: TypingClient
) -> None:
    sway_client.settings.write_text('[applications.foot]\nmethod = "type"\n')
    window = sway_desktop.foot("sway-keys")
    assert "method=type" in await sway_client.hear("One\tTwo\r\nThree\n")
    await window.wait_for("One\tTwo\rThree\r")


async def test_a_copied_line_break_is_restored_on_x11(x_desktop: XDesktop, x_client: TypingClient) -> None:
    x_desktop.copy("copied\n", "primary")
    window = x_desktop.xterm("x-copied")
    await x_client.hear("One.\n")
    await window.wait_for("One.\r")
    await eventually(lambda: x_desktop.run("xclip", "-o") == "copied\n", what="the copied text")


async def test_a_copied_line_break_is_restored_in_wayland(sway_desktop: SwayDesktop, sway_client: TypingClient) -> None:
    sway_desktop.copy("copied\n")
    window = sway_desktop.foot("sway-copied")
    await sway_client.hear("One.\n")
    await window.wait_for("One.\r")
    await eventually(lambda: sway_desktop.clipboard() == "copied\n", what="the copied text")
