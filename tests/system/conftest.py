"""Logins of a temporary user, one per module: ready in seconds, and each test leaves the daemon as it found it."""

import shutil
from collections.abc import Generator, Iterator

import pytest

from tests.support.login.login import PIPEWIRE_PROGRAMS, UNIT, Login, login
from tests.support.login.user_manager import why_not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = __name__.rpartition(".")[0]
    for item in items:
        if isinstance(item, pytest.Function) and item.module.__name__.startswith(here):
            item.add_marker("system")
            if why_not():
                item.add_marker(pytest.mark.skip(reason=why_not()))


@pytest.fixture(scope="module")
def place() -> Iterator[Login]:
    """A login with PulseAudio."""
    with login() as here:
        yield here


@pytest.fixture(scope="module")
def pipewire_place() -> Iterator[Login]:
    """A login with PipeWire."""
    missing = [program for program in PIPEWIRE_PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.skip(f"needs PipeWire: there is no {', '.join(missing)}")
    with login("pipewire") as here:
        yield here


@pytest.fixture
def dictation(place: Login) -> Iterator[Login]:
    """A login with an idle daemon, whose journal is printed if the test fails; no session outlives the test."""
    place.systemctl("reset-failed", UNIT, check=False)
    place.start()
    yield place
    if place.state() in {"listening", "transcribing"}:
        place.call("CancelDictation", check=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        for value in item.funcargs.values():
            if isinstance(value, Login):
                report.sections.append(("journal", value.journal()))
                break
    return report
