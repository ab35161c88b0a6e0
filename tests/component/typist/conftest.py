"""A private X server and a private sway, one of each per test module."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.desktop.typing_client import TypingClient, typing_client
from tests.support.desktop.windows import (
    SWAY_PROGRAMS,
    X11_PROGRAMS,
    SwayDesktop,
    XDesktop,
    lacking_tk,
    sway,
    x11,
)

PROGRAMS = {"x_desktop": X11_PROGRAMS, "sway_desktop": SWAY_PROGRAMS}
"""Programs that the fixtures of these names start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = __name__.rpartition(".")[0]
    for item in items:
        if isinstance(item, pytest.Function) and item.module.__name__.startswith(here):
            for fixture in PROGRAMS.keys() & item.fixturenames:
                item.add_marker(pytest.mark.programs(*PROGRAMS[fixture]))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory with a path short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-desktop-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def x_desktop(place: Path) -> Iterator[XDesktop]:
    with x11(_own_directory(place, "x11")) as desktop:
        yield desktop


@pytest.fixture
def tk_desktop(x_desktop: XDesktop) -> XDesktop:
    if reason := lacking_tk():
        pytest.skip(reason)
    return x_desktop


@pytest.fixture(scope="module")
def sway_desktop(place: Path) -> Iterator[SwayDesktop]:
    with sway(_own_directory(place, "sway")) as desktop:
        yield desktop


def _own_directory(place: Path, name: str) -> Path:
    """Return a directory for one desktop: windows of the same name in two desktops would write to the same file."""
    directory = place / name
    directory.mkdir()
    return directory


@pytest.fixture
async def x_client(x_desktop: XDesktop, tmp_path: Path) -> AsyncIterator[TypingClient]:
    async with typing_client(x_desktop.environment, tmp_path) as client:
        yield client
    shutil.rmtree(client.memory)  # now that the client, which writes to it, has ended


@pytest.fixture
async def sway_client(sway_desktop: SwayDesktop, tmp_path: Path) -> AsyncIterator[TypingClient]:
    async with typing_client(sway_desktop.environment, tmp_path) as client:
        yield client
    shutil.rmtree(client.memory)  # now that the client, which writes to it, has ended


@pytest.fixture(scope="session")
def long_text() -> str:
    """10,000 characters of many scripts, including every printable ASCII character."""
    line = "".join(map(chr, range(0x20, 0x7F))) + "Grüße an Zoë — naïve €5, жить, 日本語, ok 😀 and so on. "
    return (line * 70)[:9_999] + "."
