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
# Background jobs of a shell ignore interrupts, which the programs under test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

KINDS = [pytest.param(PulseServer, id="pulseaudio"), PIPEWIRE]


@pytest.fixture(params=KINDS)
def sound(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """A private server that only programs with its environment can find."""
    with running(request.param) as server:
        yield server


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    """PulseAudio, for tests to which the kind of server makes no difference."""
    with running(PulseServer) as server:
        yield server
