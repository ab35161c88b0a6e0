"""Which X11 windows receive text: those of applications. With any other focus it is left in the clipboard."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.desktop.typing_client import TypingClient, typing_client
from tests.support.desktop.windows import Window, XDesktop, x11
from tests.support.eventually import eventually, eventually_answered, eventually_blocking

TEXT = "Where does it go?"
IN_CLIPBOARD = "failed session=1 utterance=1 method=clipboard{}: {}; the text is in the clipboard"
NO_APPLICATION = "the focused window belongs to no application"

# A window made with Xlib alone. Arguments: the file to create once the window has the focus, then any of bare (no WM_CLASS),
# unmanaged (override-redirect), input-only, frame (contains an application's window), or root (the root window gets the
# focus).
_WINDOW = """
import ctypes, sys
X = ctypes.CDLL("libX11.so.6")
X.XOpenDisplay.restype = ctypes.c_void_p
display = ctypes.c_void_p(X.XOpenDisplay(None))
kinds = sys.argv[2:]
root = X.XDefaultRootWindow(display)
INPUT_ONLY, OVERRIDE_REDIRECT = 2, 1 << 9
attributes = (ctypes.c_ulong * 14)()
attributes[11] = "unmanaged" in kinds
kind = INPUT_ONLY if "input-only" in kinds else 0
def create(parent):
    depth = 0
    return X.XCreateWindow(display, parent, 10, 10, 200, 100, 0, depth, kind, None, OVERRIDE_REDIRECT, attributes)
def classify(window):
    X.XSetClassHint(display, window, (ctypes.c_char_p * 2)(b"odd", b"Odd"))
window = root if "root" in kinds else create(root)
if not {"bare", "root"} & {*kinds}:
    classify(window)
if "frame" in kinds:
    inner = create(window)
    classify(inner)
    X.XMapWindow(display, inner)
X.XMapWindow(display, window)
X.XSync(display, 0)
X.XSetInputFocus(display, window, 2, 0)
X.XSync(display, 0)
open(sys.argv[1], "w").close()
event = (ctypes.c_long * 24)()
while True:
    X.XNextEvent(display, event)
"""

# Grabs the keyboard as a screen lock does. Arguments: the file to create then, and the file that gets a byte for each key.
_GRAB = """
import ctypes, sys
X = ctypes.CDLL("libX11.so.6")
X.XOpenDisplay.restype = ctypes.c_void_p
display = ctypes.c_void_p(X.XOpenDisplay(None))
assert X.XGrabKeyboard(display, X.XDefaultRootWindow(display), 0, 1, 1, 0) == 0
keys = open(sys.argv[2], "wb", buffering=0)
open(sys.argv[1], "w").close()
event = (ctypes.c_long * 24)()
KEY_PRESS = 2
while True:
    X.XNextEvent(display, event)
    if ctypes.cast(event, ctypes.POINTER(ctypes.c_int))[0] == KEY_PRESS:
        keys.write(b".")
"""
GRABBED = "another program, such as a screen lock or an open menu, gets all keys"


def grabber(desktop: XDesktop, name: str) -> Window:
    """Return a program that has grabbed the keyboard; its bytes are the keys that it got."""
    ready = desktop.directory / f"{name}.grabbed"
    window = desktop.spawn(name, sys.executable, "-c", _GRAB, str(ready), str(desktop.directory / name))
    eventually_blocking(ready.exists, what="the grab")
    return window


def odd_window(desktop: XDesktop, name: str, *kinds: str) -> Window:
    """Return a window of these kinds after it has got the focus."""
    ready = desktop.directory / f"{name}.focused"
    window = desktop.spawn(name, sys.executable, "-c", _WINDOW, str(ready), *kinds)
    eventually_blocking(ready.exists, what="the focus")
    return window


@pytest.fixture
def windows() -> Iterator[list[Window]]:
    """The windows of one test, closed when it ends."""
    windows: list[Window] = []
    yield windows
    for window in windows:
        window.process.kill()
        window.process.wait()


async def test_focus_on_the_root_window_counts_as_no_focus(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window]
) -> None:
    window = tk_desktop.tk("under-root")
    windows.append(odd_window(tk_desktop, "on-root", "root"))
    assert await x_client.hear(TEXT) == IN_CLIPBOARD.format("", "no window has the focus")
    assert (tk_desktop.clipboard(), window.text) == (TEXT, "")
    tk_desktop.focus("under-root")
    assert (await x_client.last())[0] == 0
    await window.wait_for(TEXT)


async def test_typing_stops_when_the_root_window_gets_the_focus(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window]
) -> None:
    x_client.settings.write_text("delay_ms = 20\n")
    text = "one two three four five six seven eight nine ten " * 2
    window = tk_desktop.tk("until-root")
    tk_desktop.focus("until-root")
    hearing = asyncio.create_task(x_client.hear(text))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    windows.append(await asyncio.to_thread(odd_window, tk_desktop, "root-in-mid-text", "root"))
    assert (await hearing).startswith("failed session=1 utterance=1 method=type")
    assert x_client.undelivered == text
    assert text.startswith(window.text)


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (["bare"], NO_APPLICATION),
        (["bare", "unmanaged"], NO_APPLICATION),
        (["bare", "frame"], NO_APPLICATION),
        (["bare", "input-only"], NO_APPLICATION),
        (["input-only"], "the focused window is not visible"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
async def test_a_window_of_no_application_gets_no_text(
    x_desktop: XDesktop, x_client: TypingClient, windows: list[Window], kinds: list[str], reason: str
) -> None:
    windows.append(odd_window(x_desktop, "-".join(kinds), *kinds))
    assert await x_client.hear(TEXT) == IN_CLIPBOARD.format("", reason)
    assert x_client.undelivered == TEXT


@pytest.mark.parametrize(("kind", "words"), [("desktop", "the desktop"), ("dock", "a panel")])
async def test_a_desktop_and_a_panel_get_no_text(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window], kind: str, words: str
) -> None:
    window = tk_desktop.tk(f"type-{kind}", kind=kind)
    windows.append(window)
    tk_desktop.focus(f"type-{kind}")
    assert await x_client.hear(TEXT) == IN_CLIPBOARD.format("", f"{words} has the focus")
    assert window.text == ""


async def test_an_applications_unmanaged_window_gets_text(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window]
) -> None:
    """Launchers such as rofi take the focus without a window manager."""
    window = tk_desktop.tk("launcher", kind="unmanaged")
    windows.append(window)
    tk_desktop.focus("launcher")
    assert (await x_client.hear(TEXT)).startswith("delivered")
    await window.wait_for(TEXT)


@pytest.mark.parametrize("method", ["auto", "paste"])
async def test_while_a_program_grabs_the_keyboard_the_text_is_left_in_the_clipboard(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window], method: str
) -> None:
    """A locked screen: the window behind it keeps the focus."""
    x_client.settings.write_text(f'method = "{method}"\n')
    window = tk_desktop.tk(f"locked-{method}")
    tk_desktop.focus(f"locked-{method}")
    windows.append(lock := grabber(tk_desktop, f"lock-{method}"))
    assert await x_client.hear(TEXT) == IN_CLIPBOARD.format(f" application=locked-{method}", GRABBED)
    assert (window.text, lock.bytes, tk_desktop.clipboard()) == ("", b"", TEXT)
    lock.process.kill()
    lock.process.wait()
    assert (await x_client.last())[0] == 0
    await window.wait_for(TEXT)


async def test_typing_stops_when_a_program_grabs_the_keyboard(
    tk_desktop: XDesktop, x_client: TypingClient, windows: list[Window]
) -> None:
    x_client.settings.write_text("delay_ms = 20\n")
    text = "one two three four five six seven eight nine ten " * 2
    window = tk_desktop.tk("until-grab")
    tk_desktop.focus("until-grab")
    hearing = asyncio.create_task(x_client.hear(text))
    await eventually(lambda: len(window.text) > 10, what="the beginning")
    windows.append(lock := await asyncio.to_thread(grabber, tk_desktop, "grab-in-mid-text"))
    assert await hearing == f"failed session=1 utterance=1 method=type application=until-grab: {GRABBED}"
    assert len(lock.bytes) <= 8
    assert x_client.undelivered == text


@pytest.mark.parametrize("method", ["auto", "paste"])
async def test_text_for_a_window_that_was_closed_is_left_in_the_clipboard(
    tk_desktop: XDesktop, x_client: TypingClient, method: str
) -> None:
    x_client.settings.write_text(f'method = "{method}"\n')
    window = tk_desktop.tk(f"closed-{method}")
    tk_desktop.focus(f"closed-{method}")
    window.process.kill()
    window.process.wait()
    told = await x_client.hear(TEXT)
    assert told.startswith("failed session=1 utterance=1 method=clipboard: ")
    assert tk_desktop.clipboard() == TEXT


async def test_a_paste_never_reaches_a_window_it_was_not_prepared_for(
    tk_desktop: XDesktop, x_client: TypingClient
) -> None:
    """The chord waits until Ctrl is released; the focus moves in the meantime."""
    x_client.settings.write_text('method = "paste"\n')
    tk_desktop.forget()
    first, second = tk_desktop.tk("chosen"), tk_desktop.tk("later-focus")
    tk_desktop.focus("chosen")
    hearing = asyncio.create_task(x_client.hear(TEXT))
    try:
        await eventually_answered(tk_desktop.is_copied, what="the text in the clipboard")
        tk_desktop.run("xdotool", "keydown", "Control_L")
        tk_desktop.focus("later-focus")
    finally:
        tk_desktop.run("xdotool", "keyup", "Control_L")
    told = await hearing
    assert first.text + second.text == (TEXT if told.startswith("delivered") else "")
    assert second.text == ""


@pytest.mark.programs("openbox")
async def test_no_text_goes_to_the_window_manager_when_no_application_has_the_focus(
    tmp_path: Path, place: Path
) -> None:
    """After the last window is minimized, Openbox focuses a window of its own."""
    directory = place / "managed"
    directory.mkdir()
    with x11(directory) as desktop:
        manager = desktop.spawn("openbox", "openbox")
        async with typing_client(desktop.environment, tmp_path) as client:
            window = await asyncio.to_thread(desktop.xterm, "managed")
            assert (await client.hear(TEXT)).startswith("delivered")
            await window.wait_for(TEXT)
            found = desktop.run("xdotool", "search", "--onlyvisible", "--name", "^managed$").split()
            desktop.run("xdotool", "windowminimize", "--sync", found[-1])
            told = await client.hear("Minimized.")
            assert (
                told == f"failed session=2 utterance=1 method=clipboard: {NO_APPLICATION}; the text is in the clipboard"
            )
        manager.process.kill()
