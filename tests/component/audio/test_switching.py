"""Switching to another microphone of a real sound server: no audio is lost, and none is heard twice."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.audio.portaudio import PortAudioMicrophone
from coldvoxd.capture.state import CaptureCondition
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from tests.component.audio.test_portaudio import PIPEWIRE
from tests.support.eventually import eventually
from tests.support.sound.known_signal import known_signal
from tests.support.sound.observed_stream import Watched, watched
from tests.support.sound.servers import PulseServer, SoundServer, running

SIGNAL_S = 4.0
LOST_S = 0.1
"""Maximum length of audio that may be missing at the seam: two streams of a server differ by some hundredths of a second."""
TWICE_S = 0.5
"""Maximum length of audio that may be repeated: on a busy machine, chunks arrive late."""


@pytest.fixture(params=[pytest.param(PulseServer, id="pulseaudio"), PIPEWIRE])
def server(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """A server with a third microphone, which hears the same as the first one."""
    with running(request.param) as server, server.adopted():
        server.plug_twin()
        yield server


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    with running(PulseServer) as server, server.adopted():
        yield server


def signal_file(server: SoundServer) -> Path:
    file = server.directory / "signal.wav"
    soundfile.write(file, known_signal(SIGNAL_S), SAMPLE_RATE, subtype="PCM_16")
    return file


def found(watch: Watched, part: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> int:
    """Return the position of a part of the signal in all audio; -1 if it is not there."""
    samples = watch.samples
    for start in np.flatnonzero(samples[: max(0, len(samples) - len(part) + 1)] == part[0]):
        if np.array_equal(samples[start : start + len(part)], part):
            return int(start)
    return -1


def heard_more(watch: Watched, than_frames: int) -> bool:
    return len(watch.frames) > than_frames + 10


async def switched_while_playing(watch: Watched, microphone: PortAudioMicrophone, server: SoundServer, to: str) -> None:
    """Play the signal, and switch in the middle; check that it is complete."""
    signal = known_signal(SIGNAL_S)
    beginning, end = signal[:FRAME_SAMPLES], signal[-FRAME_SAMPLES:]
    playing = asyncio.create_task(asyncio.to_thread(server.play, signal_file(server)))
    await eventually(lambda: found(watch, beginning) >= 0, what="the beginning of the signal")
    microphone.wanted = to
    watch.keeper.renew()
    await watch.keeper.renewed()
    await playing
    await eventually(lambda: found(watch, end) >= 0, what="the end of the signal")
    heard = found(watch, end) + FRAME_SAMPLES - found(watch, beginning)
    assert -LOST_S <= (heard - len(signal)) / SAMPLE_RATE <= TWICE_S


async def test_the_open_microphone_is_used_until_the_other_one_delivers(server: SoundServer) -> None:
    microphone = PortAudioMicrophone(MicrophoneSettings(device="mic1"))
    async with watched(microphone) as watch:
        await eventually(watch.is_open)
        await switched_while_playing(watch, microphone, server, "mic3")
        assert watch.gaps == []
        names = [state.microphone for _, state in watch.states if state.condition is CaptureCondition.OPEN]
        assert names == ["Blue Yeti", "Twin"]
        assert [state.condition for _, state in watch.states].count(CaptureCondition.OPENING) == 1
        await eventually(lambda: len(server.streams()) == 1, what="the old stream's end")


async def test_the_last_of_several_selections_at_once_is_used(pulse: SoundServer) -> None:
    pulse.plug_twin()
    microphone = PortAudioMicrophone(MicrophoneSettings(device="mic1"))
    async with watched(microphone) as watch:
        await eventually(watch.is_open)
        for wanted in ("mic2", "mic3", "mic2", "mic3"):
            microphone.wanted = wanted
            watch.keeper.renew()
            await asyncio.sleep(0)
        await watch.keeper.renewed()
        await eventually(lambda: watch.keeper.state.microphone == "Twin")
        await eventually(lambda: len(pulse.streams()) == 1, what="the end of all other streams")
        assert watch.gaps == []


async def test_a_microphone_with_other_channels_follows_without_a_gap(pulse: SoundServer) -> None:
    pulse.plug_many(("front-left", "front-right"))
    microphone = PortAudioMicrophone(MicrophoneSettings(device="mic1"))
    async with watched(microphone) as watch:
        for wanted, channels in (("mic9", 2), ("mic1", 1)):
            await eventually(lambda: bool(watch.frames) and watch.is_open())
            microphone.wanted = wanted
            watch.keeper.renew()
            await watch.keeper.renewed()
            assert watch.keeper.channels == channels
            await eventually(partial(heard_more, watch, len(watch.frames)))
        assert watch.gaps == []
        shapes = [1 if frame.channels is None else frame.channels.shape[1] for frame in watch.frames]
        assert [*dict.fromkeys(shapes)] == [1, 2]
        assert shapes[-1] == 1


async def test_a_selected_microphone_that_is_missing_is_reported_and_the_old_one_is_closed(pulse: SoundServer) -> None:
    microphone = PortAudioMicrophone(MicrophoneSettings(device="mic1"))
    async with watched(microphone) as watch:
        await eventually(watch.is_open)
        microphone.wanted = "Snowball"
        watch.keeper.renew()
        await watch.keeper.renewed()
        assert watch.is_lost()
        assert "no microphone “Snowball”" in watch.keeper.state.reason
        await eventually(lambda: pulse.streams() == {})
        microphone.wanted = "mic2"
        watch.keeper.renew()
        await watch.keeper.renewed()
        assert watch.keeper.state.microphone == "Built-in Audio"
