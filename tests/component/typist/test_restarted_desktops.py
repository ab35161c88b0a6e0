"""A client that outlives its compositor or X server delivers to the one that follows, whatever the variables still say."""

import fcntl
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.support.desktop.typing_client import TypingClient, typing_client
from tests.support.desktop.user_managers import programs
from tests.support.desktop.windows import SWAY_PROGRAMS, X11_PROGRAMS, SwayDesktop, XDesktop, lacking_tk, sway, x11

PASTED = "Grüße 😀."
"""A text that no method can type."""
NAMES = ("DISPLAY", "WAYLAND_DISPLAY", "SWAYSOCK")

pytestmark = pytest.mark.heavy


@asynccontextmanager
async def outliving(environment: Mapping[str, str], directory: Path) -> AsyncIterator[TypingClient]:
    """Run the client with the variables of a desktop, which the user manager keeps too."""
    found = programs(directory, {name: environment[name] for name in NAMES if name in environment})
    async with typing_client({**environment, "PATH": f"{found}:{environment['PATH']}"}, directory) as client:
        try:
            yield client
        finally:
            shutil.rmtree(client.memory)


async def check(client: TypingClient, desktop: SwayDesktop | XDesktop, name: str) -> None:
    """Check that a text is typed, and another one pasted, into a new window."""
    window = desktop.foot(name) if isinstance(desktop, SwayDesktop) else desktop.tk(name)
    if isinstance(desktop, XDesktop):
        desktop.focus(name)
    application = "foot" if isinstance(desktop, SwayDesktop) else name
    desktop.copy(f"copied before {name}")
    for text, method in (("Typed.", "type"), (PASTED, "paste")):
        assert (await client.hear(text)).endswith(f"utterance=1 method={method} application={application}")
    await window.wait_for(f"Typed. {PASTED}")
    assert desktop.clipboard() == f"copied before {name}"


@pytest.mark.programs(*SWAY_PROGRAMS)
async def test_a_sway_with_the_same_display_and_another_socket(place: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(sway(place))
        async with outliving(first.environment, tmp_path) as client:
            await check(client, first, "first")
            stack.close()
            with sway(place) as second:
                assert second.environment["WAYLAND_DISPLAY"] == first.environment["WAYLAND_DISPLAY"]
                assert second.environment["SWAYSOCK"] != first.environment["SWAYSOCK"]
                await check(client, second, "second")


@contextmanager
def taken(runtime: Path, display: str) -> Iterator[None]:
    """Hold the lock of a display, as a compositor that still runs does."""
    with (runtime / f"{display}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.programs(*SWAY_PROGRAMS)
async def test_a_sway_with_another_display(place: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(sway(place))
        display = first.environment["WAYLAND_DISPLAY"]
        async with outliving(first.environment, tmp_path) as client:
            await check(client, first, "first")
            stack.close()
            with taken(Path(first.environment["XDG_RUNTIME_DIR"]), display), sway(place) as second:
                assert second.environment["WAYLAND_DISPLAY"] != display
                await check(client, second, "second")


@pytest.mark.programs(*X11_PROGRAMS)
async def test_an_x_server_with_the_same_display(place: Path, tmp_path: Path) -> None:
    if reason := lacking_tk():
        pytest.skip(reason)
    with ExitStack() as stack:
        first = stack.enter_context(x11(place))
        async with outliving(first.environment, tmp_path) as client:
            await check(client, first, "first")
            stack.close()
            with x11(place, display=first.environment["DISPLAY"]) as second:
                await check(client, second, "second")
