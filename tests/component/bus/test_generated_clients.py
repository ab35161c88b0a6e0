"""Code generators of Qt, GLib and sdbus-c++ accept the contract, and a client compiled from their code dictates."""

import asyncio
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import XML_NAME, interface_xml
from tests.support.bus.private_bus import PrivateBus, running_service
from tests.support.eventually import PATIENCE_S, eventually

SOURCES = Path(__file__).parents[2] / "support/bus/clients"
QT6, QT5 = Path("/usr/lib/qt6"), Path("/usr/lib/qt5")
"""Where Debian and Ubuntu install the tools of both versions of Qt, which have the same names."""


def flags(*modules: str) -> list[str]:
    """Return the compiler's options for these libraries."""
    return shlex.split(run(["pkg-config", "--cflags", "--libs", *modules]))


def run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def qt(generator: Path, moc: Path, module: str, place: Path) -> None:
    run([str(generator), "-i", "types.h", "-p", "coldvox", XML_NAME], place)
    run([str(moc), "coldvox.h", "-o", "coldvox.moc.cpp"], place)
    sources = ["qt.cpp", "coldvox.cpp", "coldvox.moc.cpp"]
    run(["g++", "-std=c++17", "-fPIC", *sources, "-o", "client", *flags(module)], place)


def qt6(place: Path) -> None:
    qt(QT6 / "bin/qdbusxml2cpp", QT6 / "libexec/moc", "Qt6DBus", place)


def qt5(place: Path) -> None:
    qt(QT5 / "bin/qdbusxml2cpp", QT5 / "bin/moc", "Qt5DBus", place)


def glib(place: Path) -> None:
    names = ["--c-namespace", "Coldvox", "--interface-prefix", "org.coldvox."]
    run(["gdbus-codegen", "--generate-c-code", "coldvox", *names, XML_NAME], place)
    run(["gcc", "glib.c", "coldvox.c", "-o", "client", *flags("gio-unix-2.0")], place)


def sdbus(place: Path) -> None:
    run(["sdbus-c++-xml2cpp", XML_NAME, "--proxy=coldvox.h"], place)
    run(["g++", "-std=c++17", "sdbus.cpp", "-o", "client", *flags("sdbus-c++")], place)


def with_tools(build: Callable[[Path], None], *programs: str | Path) -> object:
    marks = [pytest.mark.heavy, pytest.mark.programs("pkg-config", "g++", *(str(program) for program in programs))]
    return pytest.param(build, id=build.__name__, marks=marks)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "build",
    [
        with_tools(qt6, QT6 / "bin/qdbusxml2cpp", QT6 / "libexec/moc"),
        with_tools(qt5, QT5 / "bin/qdbusxml2cpp", QT5 / "bin/moc"),
        with_tools(glib, "gdbus-codegen"),
        with_tools(sdbus, "sdbus-c++-xml2cpp"),
    ],
)
async def test_a_generated_client_dictates(build: Callable[[Path], None], tmp_path: Path) -> None:
    for source in SOURCES.iterdir():
        shutil.copy(source, tmp_path)
    (tmp_path / XML_NAME).write_text(interface_xml())
    await asyncio.to_thread(build, tmp_path)
    with PrivateBus() as bus:
        async with running_service(bus) as running:
            client = await asyncio.create_subprocess_exec(
                tmp_path / "client", env=bus.environment, stdout=asyncio.subprocess.PIPE
            )
            try:
                await eventually(lambda: running.control.session, what="the session")
                assert running.control.options.words
                assert running.control.options.max_seconds == 60
                running.control.say("hello")
                output, _ = await asyncio.wait_for(client.communicate(), PATIENCE_S)
            finally:
                if client.returncode is None:
                    client.kill()
                    await client.wait()
    assert output.decode().splitlines() == [
        "session 1",
        "limit 60",
        "text hello 0.25",
        "transcript hello",
        "device mic1 Blue Yeti",
        "device mic2 Built-in Audio",
    ]
    assert client.returncode == 0
