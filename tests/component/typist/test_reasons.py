"""Sentences about what failed give a reason in words: neither an error's number nor an exit code."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from coldvoxd.typist import sway, wayland
from coldvoxd.typist.errors import Refused, why
from coldvoxd.typist.programs import run
from coldvoxd.typist.x11 import XServer
from coldvoxd.typist.x11_wire import XWire
from tests.support.desktop.typing_client import TypingClient
from tests.support.desktop.windows import XDesktop


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 6019)"), "it does not run"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "it does not run"),
        (ConnectionRefusedError("authentication failed"), "authentication failed"),
        (PermissionError(errno.EACCES, "Permission denied"), "it does not admit this user"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "it has ended"),
        (asyncio.IncompleteReadError(b"", 32), "it has ended"),
        (TimeoutError(), "it does not respond"),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 6019)"), "No route to host"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed"), "it cannot be reached"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ValueError("Expecting value: line 1 column 1 (char 0)"), "its answer is not understood"),
    ],
)
def test_a_reason_is_in_words(error: Exception, reason: str) -> None:
    assert why(error) == reason


async def test_what_does_not_run_is_said_so(tmp_path: Path) -> None:
    left = tmp_path / "left"  # by a program that was killed
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(left))
    for path in (left, tmp_path / "none"):
        with pytest.raises(Refused, match=r"^cannot ask sway for its windows: it does not run$"):
            await sway.tree({"SWAYSOCK": str(path)})
        with pytest.raises(Refused, match=r"^cannot listen to sway: it does not run$"):
            await sway.FocusEvents.watch({"SWAYSOCK": str(path)})
        with pytest.raises(Refused, match=r"^cannot connect to the Wayland compositor: it does not run$"):
            await wayland.Wayland.connect({"WAYLAND_DISPLAY": str(path)})
    with pytest.raises(Refused, match=r"^cannot connect to the X server at :4711: it does not run$"):
        await XServer.connect({"DISPLAY": ":4711"})
    with pytest.raises(Refused, match=r"^cannot connect to the X server: it does not run$"):
        await XWire.connect({"DISPLAY": ":4711"})


async def test_a_server_that_ends_is_said_so(tmp_path: Path) -> None:
    async def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    path = str(tmp_path / "ends")
    async with await asyncio.start_unix_server(end, path):
        with pytest.raises(Refused, match=r"^cannot ask sway for its windows: it has ended$"):
            await sway.tree({"SWAYSOCK": path})
        with pytest.raises(Refused, match=r"^the Wayland compositor has ended$"):
            await wayland.Wayland.connect({"WAYLAND_DISPLAY": path})


@pytest.mark.parametrize(
    ("script", "mode", "reason"),
    [
        ("#!/bin/sh\nexit 3\n", 0o755, "silent failed and gave no reason"),
        ("#!/bin/sh\nkill -9 $$\n", 0o755, "silent failed and gave no reason"),
        ("#!/bin/sh\necho 'No display.' >&2\nexit 1\n", 0o755, "silent failed: No display."),
        ("", 0o644, "silent cannot be started: Permission denied"),
        ("\0", 0o755, "silent cannot be started: Exec format error"),
    ],
)
async def test_a_program_that_fails_is_named_with_its_own_words(
    tmp_path: Path, script: str, mode: int, reason: str
) -> None:
    (tmp_path / "silent").write_text(script)
    (tmp_path / "silent").chmod(mode)
    with pytest.raises(Refused) as caught:
        await run("silent", environment={"PATH": str(tmp_path)})
    assert str(caught.value) == reason


async def test_an_xclip_that_fails_is_reported_without_its_exit_code(
    x_desktop: XDesktop, x_client: TypingClient, tmp_path: Path
) -> None:
    x_desktop.xterm("without-clipboard")
    x_client.end()
    (tmp_path / "xclip").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "xclip").chmod(0o755)
    x_client.environment["PATH"] = f"{tmp_path}:{x_client.environment['PATH']}"
    x_client.settings.write_text('method = "paste"\n')
    await x_client.begin()
    assert await x_client.hear("Into the void.") == (
        "failed session=1 utterance=1 application=xterm: the clipboard could not be set; "
        "xclip could not take over the clipboard"
    )
