"""Sound servers of both kinds."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.sound.servers import PipeWireServer, PulseServer, SoundServer, running

PIPEWIRE = pytest.param(
    PipeWireServer,
    marks=[
        pytest.mark.pipewire,
        pytest.mark.skipif(not PipeWireServer.is_installed(), reason="pipewire, pipewire-pulse or wireplumber missing"),
    ],
    id="pipewire",
)
# A shell's background job ignores interrupts, and so would every program that tests start in order to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

KINDS = [pytest.param(PulseServer, id="pulseaudio"), PIPEWIRE]


@pytest.fixture(params=KINDS)
def sound(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """A private server that only what is started with its environment finds."""
    with running(request.param) as server:
        yield server


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    """PulseAudio, where the kind makes no difference."""
    with running(PulseServer) as server:
        yield server
