"""The unit coldvox-type.service, in its sandbox, types and pastes into real windows on X11 and Wayland."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.support.desktop.windows import (
    COPIER,
    DEBIAN_PYTHON,
    GTK,
    SWAY_PROGRAMS,
    TK,
    X11_PROGRAMS,
    lacking,
    lacking_gtk,
    lacking_tk,
)
from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Output, samples
from tests.support.login.user_manager import ROOT, UserManager, install_daemon, user_manager, wait_until_active

TYPING = "coldvox-type.service"
SPOKEN = samples()[0]
SETTINGS = '[model]\nname = "mini"\nprovider = "cpu"\n[microphone]\ndevice = "virtual:{runtime}/coldvoxd/mic"\n'


COPIED = {"text/html": "<b>bold</b>", "text/plain;charset=utf-8": "bold", "image/png": "picture " * 20_000}
"""What was copied before a paste; the picture is larger than what X11 transfers in one part."""


@dataclass
class Desk:
    """A desktop in a login, with the variables that its session exports to the user manager."""

    manager: UserManager
    environment: dict[str, str]
    stack: ExitStack

    def window(self, name: str, *command: str) -> None:
        """Show a window that writes its text to a file of that name in the home directory."""
        self.stack.enter_context(self.manager.running(*command, environment=self.environment))
        eventually_blocking(lambda: self._exists(name), what=f"the window {name}")

    def path(self, name: str) -> str:
        return f"{self.manager.home}/{name}"

    def _exists(self, name: str) -> bool:
        return self.manager.run("test", "-e", self.path(name), check=False).returncode == 0

    def run(self, *command: str) -> str:
        return self.manager.run(*command, environment=self.environment).stdout

    def copy_several(self) -> None:
        """Copy `COPIED` in a window of its own."""
        for place, content in enumerate(COPIED.values()):
            self.manager.write(f"copier.{place}", content)
        self.window("copier.running", DEBIAN_PYTHON, "-c", COPIER, str(self.manager.home), "copier", *COPIED)

    def copied(self) -> dict[str, str]:
        """Return the clipboard's content for the types of `COPIED`."""
        read = ("xclip", "-o", "-selection", "clipboard", "-t")
        return {kind: self.run(*read, kind) for kind in COPIED}

    def received(self, name: str) -> str:
        return self.manager.run("cat", self.path(name), check=False).stdout

    def dictate(self) -> None:
        self.manager.answer("StartDictation")
        for line in (f"SPEAK {SPOKEN.file}", "SILENCE 1200"):
            client = (sys.executable, "-m", "coldvoxd.virtual.client", self.manager.runtime / "coldvoxd/mic", line)
            self.manager.run(*client, environment={"PYTHONPATH": str(ROOT)})
        self.manager.answer("StopDictation")


@pytest.fixture(scope="module")
def manager() -> Iterator[UserManager]:
    with user_manager(kind=UserManager) as running:
        install_daemon(running, SETTINGS.format(runtime=running.runtime))
        yield running


@contextmanager
def x11(manager: UserManager) -> Iterator[Desk]:
    with ExitStack() as stack:
        server = ("Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp")
        output = Output(stack.enter_context(manager.running(*server)))
        while not (number := output.line()).isdigit():
            pass  # a warning before it
        yield Desk(manager, {"DISPLAY": f":{number}"}, stack)


@contextmanager
def sway(manager: UserManager) -> Iterator[Desk]:
    with ExitStack() as stack:
        file = manager.write("sway.conf", "xwayland disable\noutput HEADLESS-1 resolution 1024x600\n")
        own = {
            "WLR_BACKENDS": "headless",
            "WLR_RENDERER": "pixman",
            "WLR_LIBINPUT_NO_DEVICES": "1",
            "LIBGL_ALWAYS_SOFTWARE": "1",
        }
        stack.enter_context(manager.running("sway", "-c", file, environment=own))

        def sockets() -> dict[str, str]:
            names = manager.run("ls", manager.runtime).stdout.split()
            wayland = [name for name in names if name.startswith("wayland-") and not name.endswith(".lock")]
            control = [name for name in names if name.startswith("sway-ipc.")]
            if not (wayland and control):
                return {}
            return {"WAYLAND_DISPLAY": wayland[0], "SWAYSOCK": f"{manager.runtime}/{control[0]}"}

        yield Desk(manager, eventually_blocking(sockets, what="sway"), stack)


@contextmanager
def typing(desk: Desk, method: str) -> Iterator[None]:
    """Run both units, as a session that exports its variables starts them."""
    manager = desk.manager
    manager.write(".config/coldvoxd/type.toml", f'method = "{method}"\n')
    manager.systemctl("set-environment", *(f"{name}={value}" for name, value in desk.environment.items()))
    manager.systemctl("start", UNIT, TYPING)
    wait_until_active(manager, TYPING)
    eventually_blocking(lambda: "ready" in manager.journal(TYPING).splitlines()[-1], what="coldvox-type")
    try:
        yield
    finally:
        manager.systemctl("stop", UNIT, TYPING)
        manager.systemctl("unset-environment", *desk.environment)


@pytest.mark.parametrize("method", ["type", "paste"])
def test_text_reaches_a_window_on_x11(manager: UserManager, method: str) -> None:
    if reason := lacking(X11_PROGRAMS) or lacking_tk():
        pytest.skip(reason)
    with x11(manager) as desk:
        name = f"x11-{method}"
        desk.window(f"{name}.running", DEBIAN_PYTHON, "-c", TK, desk.path(name), name, "text")
        with typing(desk, method):
            desk.dictate()
            check(desk, name)


def test_copied_content_survives_a_paste_and_the_end_of_the_unit(manager: UserManager) -> None:
    if reason := lacking(X11_PROGRAMS) or lacking_tk() or lacking_gtk("4.0"):
        pytest.skip(reason)
    with x11(manager) as desk:
        desk.copy_several()
        name = "x11-copied"
        desk.window(f"{name}.running", DEBIAN_PYTHON, "-c", TK, desk.path(name), name, "text")
        with typing(desk, "paste"):
            desk.dictate()
            check(desk, name)
            own = "coldvoxd.typist.clipboard_owner"
            eventually_blocking(lambda: own in desk.run("ps", "-e", "-o", "args"), what="the process that holds it")
            # It is there before it has the clipboard: Python starts slowly.
            eventually_blocking(lambda: desk.copied() == COPIED, what="what was copied")
        assert manager.show(TYPING, "SubState") == "dead"
        assert desk.copied() == COPIED


@pytest.mark.parametrize("method", ["type", "paste"])
def test_text_reaches_a_window_on_wayland(manager: UserManager, method: str) -> None:
    if reason := lacking(SWAY_PROGRAMS) or lacking_gtk("3.0"):
        pytest.skip(reason)
    with sway(manager) as desk:
        name = f"wayland-{method}"
        desk.window("sway.conf", DEBIAN_PYTHON, "-c", GTK, desk.path(name), name, "3.0")
        eventually_blocking(lambda: f'"name": "{name}"' in desk.run("swaymsg", "-rt", "get_tree"), what="the window")
        with typing(desk, method):
            desk.dictate()
            check(desk, name)


def check(desk: Desk, name: str) -> None:
    try:
        eventually_blocking(lambda: SPOKEN.is_in(desk.received(name)), what=f"the text in {name}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {desk.received(name)!r}\n{desk.manager.journal()}") from error
