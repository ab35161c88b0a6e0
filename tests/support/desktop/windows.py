"""Real windows to type into: xterm and Tk under Xvfb, foot in a headless sway.

Each writes the received text to a file.
"""

import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from coldvoxd.typist.x11_wire import XWire
from tests.support.eventually import eventually, eventually_blocking

X11_PROGRAMS = ("Xvfb", "xterm", "xdotool", "xclip")
SWAY_PROGRAMS = ("sway", "swaymsg", "foot", "wtype", "wl-copy", "wl-paste")
DEBIAN_PYTHON = "/usr/bin/python3"
"""The interpreter that python3-tk belongs to, whichever one runs the tests."""
_RUNNING = "running"
_GET_SELECTION_OWNER = 23
"""The request of X11."""
D = TypeVar("D", bound="Desktop")

_AS_SOMEBODY = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
"""sway refuses to run as root, so it gets a user namespace with another user ID."""

# A terminal without line editing, so that every byte arrives unchanged, however long the line.
_READER = """
import os, sys, tty
tty.setraw(0)
out = open(sys.argv[1], "ab", buffering=0)
open(sys.argv[1] + ".running", "w").close()
while data := os.read(0, 4096):
    out.write(data)
"""
TK = """
import os, sys, tkinter
root = tkinter.Tk(className=sys.argv[2])
root.title(sys.argv[2])
if sys.argv[3] == "unmanaged":
    root.overrideredirect(True)
elif sys.argv[3] in {"desktop", "dock"}:
    root.wm_attributes("-type", sys.argv[3])
text = (tkinter.Entry if sys.argv[3] == "entry" else tkinter.Text)(root)
text.pack()
text.focus_force()
def paste_twice(event):
    root.clipboard_get()
    root.after(300, lambda: text.insert("insert", root.clipboard_get()))
    return "break"
if sys.argv[3] == "page":
    text.bind("<<Paste>>", paste_twice)
def tell():
    content = text.get() if sys.argv[3] == "entry" else text.get("1.0", "end-1c")
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
        file.write(content)
    os.replace(sys.argv[1] + ".new", sys.argv[1])
    root.after(30, tell)
def ready(event):
    open(sys.argv[1] + ".running", "w").close()
root.bind("<FocusIn>", ready)
tell()
root.mainloop()
"""

GTK = """
import os, sys, gi
gi.require_version("Gtk", sys.argv[3])
from gi.repository import GLib, Gtk
window, view = Gtk.Window(title=sys.argv[2]), Gtk.TextView()
(window.add if sys.argv[3] == "3.0" else window.set_child)(view)
(window.show_all if sys.argv[3] == "3.0" else window.present)()
view.grab_focus()
content = view.get_buffer()
def tell(*_):
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
        file.write(content.get_text(content.get_start_iter(), content.get_end_iter(), True))
    os.replace(sys.argv[1] + ".new", sys.argv[1])
content.connect("changed", tell)
open(sys.argv[1] + ".running", "w").close()
GLib.MainLoop().run()
"""

# Qt's own text functions return a space for U+00A0, and its documents have U+2029 for a line break.
QT = """
import os, sys, importlib
widgets = importlib.import_module(sys.argv[3] + ".QtWidgets")
application = widgets.QApplication(sys.argv[:1])
edit = widgets.QPlainTextEdit()
edit.setWindowTitle(sys.argv[2])
def tell():
    with open(sys.argv[1] + ".new", "w", encoding="utf-8") as file:
        file.write(edit.document().toRawText().replace("\u2029", "\\n"))
    os.replace(sys.argv[1] + ".new", sys.argv[1])
edit.textChanged.connect(tell)
edit.show()
open(sys.argv[1] + ".running", "w").close()
getattr(application, "exec_", application.exec)()
"""

# A window of GTK 4 that copies the content of files once it has the focus; a Wayland client may copy only after a key.
# Arguments: the directory, the title, then content types; the files are named by their place.
COPIER = """
import os, sys, gi
gi.require_version("Gtk", "4.0")
gi.require_version("Gdk", "4.0")
from gi.repository import Gdk, GLib, Gtk
directory, title, kinds = sys.argv[1], sys.argv[2], sys.argv[3:]
window = Gtk.Window(title=title)
def content(place):
    with open(f"{directory}/{title}.{place}", "rb") as file:
        return Gdk.ContentProvider.new_for_bytes(kinds[place], GLib.Bytes.new(file.read()))
def copy(*_):
    window.get_clipboard().set_content(Gdk.ContentProvider.new_union([*map(content, range(len(kinds)))]))
    open(f"{directory}/{title}.running", "w").close()
    return False
keys = Gtk.EventControllerKey()
keys.connect("key-pressed", copy)
window.add_controller(keys)
window.present()
if "WAYLAND_DISPLAY" not in os.environ:
    GLib.idle_add(copy)
GLib.MainLoop().run()
"""


def as_somebody() -> list[str]:
    """Return the prefix for a command that refuses to run as root; empty if the user isn't root."""
    return list(_AS_SOMEBODY)


def lacking(programs: Sequence[str]) -> str:
    """Return why tests with `programs` can't run here; empty if they can."""
    missing = [program for program in programs if not shutil.which(program)]
    return f"there is no {', '.join(missing)}: run contrib/test.sh --system" if missing else ""


def lacking_tk() -> str:
    found = subprocess.run([DEBIAN_PYTHON, "-c", "import tkinter"], capture_output=True, check=False)
    return "" if found.returncode == 0 else "there is no python3-tk: run contrib/test.sh --system"


def lacking_gtk(version: str) -> str:
    """Return why tests with windows of this GTK, `3.0` or `4.0`, can't run here; empty if they can."""
    question = f"import gi; gi.require_version('Gtk', '{version}')"
    found = subprocess.run([DEBIAN_PYTHON, "-c", question], capture_output=True, check=False)
    return "" if found.returncode == 0 else f"there is no gir1.2-gtk-{version}: run contrib/test.sh --system"


def lacking_qt(binding: str) -> str:
    """Return why tests with windows of Qt by `PyQt5` or `PyQt6` can't run here; empty if they can."""
    found = subprocess.run([DEBIAN_PYTHON, "-c", f"import {binding}.QtWidgets"], capture_output=True, check=False)
    return "" if found.returncode == 0 else f"there is no python3-{binding.lower()}: run contrib/test.sh --system"


@dataclass
class Window:
    """A window that has or had the focus."""

    process: "subprocess.Popen[bytes]"
    file: Path

    @property
    def bytes(self) -> bytes:
        return self.file.read_bytes() if self.file.exists() else b""

    @property
    def text(self) -> str:
        return self.bytes.decode(errors="replace")

    async def wait_for(self, text: str) -> None:
        """Return once the window has exactly `text`."""
        try:
            await eventually(lambda: self.text == text, what=f"{len(text)} characters in the window")
        except AssertionError as error:
            raise AssertionError(f"{error}; it has {self.text[:200]!r}") from None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within the context, the window handles no keys; it handles them afterwards."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @property
    def runs(self) -> bool:
        if (code := self.process.poll()) is not None:
            said = self.file.with_name(f"{self.file.name}.log").read_text(errors="replace")
            raise AssertionError(f"the window was closed, exit code {code}: {said or 'it printed nothing'}")
        return self.file.with_name(f"{self.file.name}.{_RUNNING}").exists()


class Desktop:
    """A private display and its windows."""

    def __init__(self, directory: Path, environment: Mapping[str, str], server: "subprocess.Popen[bytes]") -> None:
        self.directory = directory
        self._server = server
        self.environment = dict(environment)
        self._windows: list[Window] = []

    def run(self, *command: str, given: str | None = None) -> str:
        answer = subprocess.run(
            command, env=self.environment, input=given, stdout=subprocess.PIPE, text=True, timeout=30, check=True
        )
        return answer.stdout

    def output(self, *command: str) -> bytes:
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=True
        ).stdout

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Within the context, the display server does not respond."""
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def spawn(self, name: str, *command: str) -> Window:
        file = self.directory / name
        for earlier in self._windows:
            assert earlier.file != file or earlier.process.poll() is not None, f"another window writes to {name}"
        for left in (file, file.with_name(f"{name}.{_RUNNING}")):
            left.unlink(missing_ok=True)
        with (self.directory / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([*command], env=self.environment, stdout=log, stderr=log)
        window = Window(process, file)
        self._windows.append(window)
        return window

    def tk(self, name: str, *, kind: str = "text") -> Window:
        window = self.spawn(name, DEBIAN_PYTHON, "-c", TK, str(self.directory / name), name, kind)
        eventually_blocking(lambda: window.runs, what=f"the window {name}")
        return window

    def gtk(self, name: str, version: str) -> Window:
        """Show a text view of GTK `3.0` or `4.0`."""
        window = self.spawn(name, DEBIAN_PYTHON, "-c", GTK, str(self.directory / name), name, version)
        eventually_blocking(lambda: window.runs, what=f"the window {name}")
        self.focus(name)
        return window

    def qt(self, name: str, binding: str) -> Window:
        """Show a text field of Qt 5 or 6, by `PyQt5` or `PyQt6`."""
        platform = f"QT_QPA_PLATFORM={'wayland' if 'WAYLAND_DISPLAY' in self.environment else 'xcb'}"
        window = self.spawn(name, "env", platform, DEBIAN_PYTHON, "-c", QT, str(self.directory / name), name, binding)
        eventually_blocking(lambda: window.runs, what=f"the window {name}")
        self.focus(name)
        return window

    def copier(self, name: str, content: Mapping[str, bytes]) -> Window:
        """Show a window of GTK 4 that has copied `content`, by content type."""
        for place, part in enumerate(content.values()):
            (self.directory / f"{name}.{place}").write_bytes(part)
        window = self.spawn(name, DEBIAN_PYTHON, "-c", COPIER, str(self.directory), name, *content)
        eventually_blocking(
            lambda: (window.runs and self._offers(content)) or self.press_a_key(name), what=f"the copy of {name}"
        )
        return window

    def _offers(self, content: Mapping[str, bytes]) -> bool:
        """Return whether the clipboard has all types of `content`; an empty one makes the programs fail."""
        try:
            return set(content) <= set(self.kinds())
        except subprocess.CalledProcessError:
            return False

    def press_a_key(self, title: str) -> bool:
        """Press a key in a window, where the desktop lets only such a window copy. Return False."""
        del title
        return False

    def copied(self, kind: str) -> bytes:
        """Return the clipboard's content of this type."""
        raise NotImplementedError

    def kinds(self) -> list[str]:
        """Return the types of the clipboard's content."""
        raise NotImplementedError

    def focus(self, title: str) -> None:
        """Give the focus to a window that is visible or about to be; returns when it has it."""
        raise NotImplementedError

    def close(self) -> None:
        for window in self._windows:
            window.process.kill()
            window.process.wait()


class XDesktop(Desktop):
    def xterm(self, name: str, *options: str) -> Window:
        reader = [sys.executable, "-c", _READER, str(self.directory / name)]
        window = self.spawn(name, "xterm", "-u8", "-T", name, *options, "-e", *reader)
        eventually_blocking(lambda: window.runs, what="xterm")
        self.focus(name)
        return window

    def focus(self, title: str) -> None:
        found = self.run("xdotool", "search", "--sync", "--onlyvisible", "--name", f"^{title}$").split()
        self.run("xdotool", "windowfocus", "--sync", found[-1])

    def unfocus(self) -> None:
        """Remove the focus from all windows, as on an empty desktop: keys go to the window under the pointer."""
        self.run("xdotool", "windowfocus", "1")

    def forget(self) -> None:
        """Empty the clipboard: its owner ends with the first request."""
        command = ["xclip", "-i", "-loops", "1", "-selection", "clipboard"]
        subprocess.run(command, env=self.environment, input=b"x", stdout=subprocess.DEVNULL, timeout=30, check=True)
        assert self.clipboard() == "x"

    def clipboard(self) -> str:
        return self.run("xclip", "-o", "-selection", "clipboard")

    def copied(self, kind: str) -> bytes:
        return self.output("xclip", "-o", "-selection", "clipboard", "-t", kind)

    def kinds(self) -> list[str]:
        return self.copied("TARGETS").decode().split("\n")[:-1]

    async def is_copied(self) -> bool:
        """Whether the clipboard has content; does not fetch it, not even its types."""
        wire = await XWire.connect(self.environment)
        try:
            reply = await wire.ask(_GET_SELECTION_OWNER, 0, struct.pack("<I", await wire.atom("CLIPBOARD")))
        finally:
            wire.close()
        return reply[8:12] != bytes(4)

    def copy(self, text: str, selection: str = "clipboard") -> None:
        subprocess.run(
            ["xclip", "-i", "-selection", selection],
            env=self.environment,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            timeout=30,
            check=True,
        )


class SwayDesktop(Desktop):
    def foot(self, name: str) -> Window:
        reader = shlex.join([sys.executable, "-c", _READER, str(self.directory / name)])
        window = self.spawn(name, "foot", "--title", name, "sh", "-c", reader)
        eventually_blocking(lambda: window.runs and self._has(name), what="foot, with the focus")
        return window

    def focus(self, title: str) -> None:
        eventually_blocking(lambda: self._has(title), what=f"the window {title}")
        self.run("swaymsg", f"[title=^{title}$] focus")

    def _has(self, title: str) -> bool:
        return f'"name": "{title}"' in self.run("swaymsg", "--raw", "--type", "get_tree")

    def clipboard(self) -> str:
        return self.run("wl-paste", "--no-newline")

    def copied(self, kind: str) -> bytes:
        return self.output("wl-paste", "--no-newline", "--type", kind)

    def kinds(self) -> list[str]:
        return self.run("wl-paste", "--list-types").split("\n")[:-1]

    def press_a_key(self, title: str) -> bool:
        if self._has(title):
            self.run("wtype", "-s", "100", "a")
        return False

    def copy(self, text: str) -> None:
        subprocess.run(
            ["wl-copy"], env=self.environment, input=text.encode(), stdout=subprocess.DEVNULL, timeout=30, check=True
        )


@contextmanager
def x11(directory: Path, bus: str = "", display: str = "") -> Iterator[XDesktop]:
    """Run an X server without a window manager, at `display` if given; `bus` is its programs' session bus.

    With -noreset: otherwise the server resets when its last client leaves, and refuses connections meanwhile.
    """
    reading, writing = os.pipe()
    place = [display] if display else []
    with (directory / "xvfb.log").open("wb") as log:
        process = subprocess.Popen(
            ["Xvfb", *place, "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
            pass_fds=[writing],
            stdout=log,
            stderr=log,
        )
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        assert number, (directory / "xvfb.log").read_text()
        yield from _with_desktop(XDesktop(directory, _environment(directory, bus) | {"DISPLAY": f":{number}"}, process))
    finally:
        process.terminate()
        process.wait()


@contextmanager
def sway(directory: Path, config: str = "", bus: str = "") -> Iterator[SwayDesktop]:
    """Run sway with a screen in memory, no input devices and no XWayland; `bus` is its programs' session bus."""
    environment = _environment(directory, bus) | {
        "WLR_BACKENDS": "headless",
        "WLR_RENDERER": "pixman",
        "WLR_LIBINPUT_NO_DEVICES": "1",
    }
    file, names = directory / "sway.conf", directory / "sway.names"
    names.unlink(missing_ok=True)
    tell = f"echo $WAYLAND_DISPLAY $SWAYSOCK >{names}.new && mv {names}.new {names}"
    file.write_text(f"xwayland disable\noutput HEADLESS-1 resolution 1024x600\nexec '{tell}'\n{config}\n")
    with (directory / "sway.log").open("wb") as log:
        process = subprocess.Popen([*_AS_SOMEBODY, "sway", "-c", str(file)], env=environment, stdout=log, stderr=log)

    def sockets() -> list[str]:
        assert process.poll() is None, (directory / "sway.log").read_text()
        return names.read_text().split() if names.exists() else []

    try:
        display, control = eventually_blocking(sockets, what="sway")
        own = {"WAYLAND_DISPLAY": display, "SWAYSOCK": control}
        yield from _with_desktop(SwayDesktop(directory, environment | own, process))
    finally:
        process.terminate()
        process.wait()


def _with_desktop(desktop: D) -> Iterator[D]:
    try:
        yield desktop
    finally:
        desktop.close()


def _environment(directory: Path, bus: str) -> dict[str, str]:
    runtime = directory / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    strangers = {"DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK", "DBUS_SESSION_BUS_ADDRESS"}
    own = {"XDG_RUNTIME_DIR": str(runtime), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "LIBGL_ALWAYS_SOFTWARE": "1"}
    if bus:
        own["DBUS_SESSION_BUS_ADDRESS"] = bus
    return {key: value for key, value in os.environ.items() if key not in strangers} | own
