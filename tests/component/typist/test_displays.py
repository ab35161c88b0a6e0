"""Which desktop gets the text where the user manager or the own environment names one that is gone."""

import os
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from coldvoxd.typist.displays import graphical_environment
from tests.support.desktop.typing_client import typing_client
from tests.support.desktop.user_managers import programs
from tests.support.desktop.wayland_proxy import wayland_proxy
from tests.support.desktop.windows import SwayDesktop, XDesktop
from tests.support.eventually import eventually

NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK", "XAUTHORITY", "SYSTEMD_EXEC_PID")
DEAD_X11 = {"DISPLAY": ":4711"}
DEAD_WAYLAND = {"WAYLAND_DISPLAY": "wayland-4711", "SWAYSOCK": "/nowhere/sway"}
OURS = str(os.getpid())

Set = Callable[[Mapping[str, str], Mapping[str, str] | None], None]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Sets our own variables and those of a user manager, None for no manager."""

    def change(own: Mapping[str, str], managers: Mapping[str, str] | None) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{programs(tmp_path, managers)}:/usr/bin:/bin")

    return change


@pytest.fixture(scope="module")
def x11(x_desktop: XDesktop) -> dict[str, str]:
    """The variables of an X server. It has a client: without one it would begin again after each connection."""
    x_desktop.xterm("client")
    return desktop(x_desktop.environment)


def desktop(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in ("DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK") if name in environment}


@pytest.mark.parametrize("service", [{}, {"SYSTEMD_EXEC_PID": OURS}], ids=["command", "service"])
async def test_a_dead_display_is_skipped_whoever_names_it(
    x11: dict[str, str], variables: Set, service: Mapping[str, str]
) -> None:
    cases: list[tuple[Mapping[str, str], Mapping[str, str] | None]] = [
        (DEAD_X11, x11),
        (x11, DEAD_X11),
        (DEAD_WAYLAND, x11),
        (x11, DEAD_WAYLAND),
        ({}, DEAD_WAYLAND | x11),
        (DEAD_WAYLAND | x11, None),
        (DEAD_WAYLAND | DEAD_X11, x11),
        (x11, DEAD_WAYLAND | DEAD_X11),
        (x11, {}),
        ({}, x11),
    ]
    for own, managers in cases:
        variables({**own, **service}, managers)
        assert desktop(await graphical_environment()) == x11, (own, managers)


async def test_a_compositor_that_lives_is_preferred_to_a_dead_x_server_and_to_a_living_one(
    sway_desktop: SwayDesktop, x11: dict[str, str], variables: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    sway = desktop(sway_desktop.environment)
    monkeypatch.setenv("XDG_RUNTIME_DIR", sway_desktop.environment["XDG_RUNTIME_DIR"])
    for own, managers in ((sway | x11, None), (DEAD_X11, sway | x11), (DEAD_WAYLAND, sway | x11)):
        variables(own, managers)
        assert desktop(await graphical_environment()) == sway | x11
    variables(sway | DEAD_X11, DEAD_X11)
    assert desktop(await graphical_environment()) == sway | DEAD_X11


async def test_a_service_asks_the_user_manager_first_and_a_command_its_own_desktop(
    x11: dict[str, str], sway_desktop: SwayDesktop, variables: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    sway = desktop(sway_desktop.environment)
    monkeypatch.setenv("XDG_RUNTIME_DIR", sway_desktop.environment["XDG_RUNTIME_DIR"])
    variables(x11, sway)
    assert desktop(await graphical_environment()) == x11
    variables({**x11, "SYSTEMD_EXEC_PID": OURS}, sway)
    assert desktop(await graphical_environment()) == sway
    variables({**x11, "SYSTEMD_EXEC_PID": "1"}, sway)  # of the terminal's service
    assert desktop(await graphical_environment()) == x11


async def test_a_sway_that_is_gone_does_not_hide_the_compositor_that_followed_it(
    sway_desktop: SwayDesktop, variables: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    sway = desktop(sway_desktop.environment)
    runtime = Path(sway_desktop.environment["XDG_RUNTIME_DIR"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    dead = {"SWAYSOCK": "/nowhere/sway"}
    for named in (sway | dead, DEAD_WAYLAND, {"WAYLAND_DISPLAY": sway["WAYLAND_DISPLAY"]}, {}):
        variables(named, None)
        assert desktop(await graphical_environment()) == sway
    with wayland_proxy(runtime, sway["WAYLAND_DISPLAY"], "wayland-other"):  # a compositor that is no sway
        other = {"WAYLAND_DISPLAY": "wayland-other"}
        variables(other | dead, None)
        assert desktop(await graphical_environment()) == other
        variables(DEAD_WAYLAND, None)  # of several, none is more likely
        assert desktop(await graphical_environment()) == {"WAYLAND_DISPLAY": "wayland-4711"}


async def test_where_nothing_answers_the_first_desktop_is_named(
    variables: Set, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    variables(DEAD_X11, {"DISPLAY": ":4712"})
    assert desktop(await graphical_environment()) == DEAD_X11
    variables({}, None)
    assert desktop(await graphical_environment()) == {}


async def test_a_socket_at_which_nothing_listens_is_dead(
    x11: dict[str, str], variables: Set, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A compositor that was killed leaves its socket."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "wayland-0"))
    variables({"WAYLAND_DISPLAY": "wayland-0"}, x11)
    assert desktop(await graphical_environment()) == x11


async def test_a_text_arrives_although_the_manager_keeps_a_dead_display(x_desktop: XDesktop, tmp_path: Path) -> None:
    own = {name: value for name, value in x_desktop.environment.items() if name != "DISPLAY"}
    found = programs(tmp_path, DEAD_WAYLAND | desktop(x_desktop.environment))
    async with typing_client(own | {"PATH": f"{found}:{own['PATH']}"}, tmp_path) as client:
        window = x_desktop.xterm("outlived")
        assert await client.hear("Here.") == "delivered session=1 utterance=1 method=type application=xterm"
        await window.wait_for("Here.")


@pytest.mark.parametrize(
    ("own", "notice"),
    [
        ({}, "texts cannot be typed yet: there is no desktop: neither DISPLAY nor WAYLAND_DISPLAY is set"),
        (DEAD_X11, "texts cannot be typed yet: cannot connect to the X server at :4711: it does not run"),
        (DEAD_WAYLAND, "texts cannot be typed yet: cannot connect to the Wayland compositor: it does not run"),
    ],
)
async def test_a_start_without_a_desktop_is_reported(own: Mapping[str, str], notice: str, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    strangers = {*NAMES, "DBUS_SESSION_BUS_ADDRESS"}
    rest = {name: value for name, value in os.environ.items() if name not in strangers}
    found = f"{programs(tmp_path, None)}:{rest['PATH']}"
    async with typing_client({**rest, "XDG_RUNTIME_DIR": str(runtime), "PATH": found, **own}, tmp_path) as client:
        await eventually(lambda: client.notices == [notice], what="the notice")
        assert (await client.hear("Kept.")).startswith("failed session=1 utterance=1")


async def test_a_second_client_says_that_another_one_runs(x_desktop: XDesktop, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    async with typing_client(x_desktop.environment | {"XDG_RUNTIME_DIR": str(runtime)}, tmp_path) as client:
        window = x_desktop.xterm("shared")
        log = tmp_path / "second.log"
        with log.open("wb") as output:
            second = subprocess.Popen(client.command(), env=client.environment, stderr=output)
        try:
            expected = "ready\nanother coldvox-type is running: each text is delivered once, by one of them\n"
            await eventually(lambda: log.read_text() == expected, what="the notice")
            await client.say_all("Once.", "Twice.")
            await window.wait_for("Once. Twice.")
        finally:
            second.terminate()
            second.wait()
