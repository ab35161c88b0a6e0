"""Capture through PortAudio from real sound servers, and recovery from their faults."""

import asyncio
import contextlib
import functools
import gc
import logging
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.audio.portaudio import PortAudioMicrophone, age_of_last, list_devices
from coldvoxd.audio.soundserver import hold_to, look
from coldvoxd.capture.device import CALL_PATIENCE_S, NO_ANSWER
from coldvoxd.capture.state import CaptureCondition
from coldvoxd.core.audio_values import Chunk, Frame, GapReason
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.values import SAMPLE_RATE
from tests.support.eventually import eventually, eventually_blocking
from tests.support.sound.known_signal import heard_at, known_signal
from tests.support.sound.observed_stream import Watched, watched
from tests.support.sound.servers import PipeWireServer, PulseServer, SoundServer, running

PIPEWIRE = pytest.param(
    PipeWireServer,
    marks=[
        pytest.mark.pipewire,
        pytest.mark.skipif(not PipeWireServer.is_installed(), reason="pipewire, pipewire-pulse or wireplumber missing"),
    ],
    id="pipewire",
)
NOTICED_S = 2.0
"""Seconds within which the restart of a server is detected, as documented."""
BEAT_LIMIT_S = 4.0
"""Half of the time, in seconds, for which the server is frozen: a loop that waits for it would stall for longer."""


@pytest.fixture(params=[pytest.param(PulseServer, id="pulseaudio"), PIPEWIRE])
def server(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    with running(request.param) as server, server.adopted():
        yield server


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    with running(PulseServer) as server, server.adopted():
        yield server


@contextlib.asynccontextmanager
async def capturing(device: str = "default") -> AsyncIterator[Watched]:
    async with watched(PortAudioMicrophone(MicrophoneSettings(device=device))) as watch:
        yield watch


def spoken(server: SoundServer, signal: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> Path:
    file = server.directory / "signal.wav"
    soundfile.write(file, signal, SAMPLE_RATE, subtype="PCM_16")
    return file


async def hear(watch: Watched, server: SoundServer) -> int:
    """Play the known signal, check that it is captured whole and exact from now on, and return its first sample."""
    signal = known_signal(1.0)
    await eventually(watch.is_open)
    known = len(watch.items)
    await asyncio.to_thread(server.play, spoken(server, signal))
    await eventually(lambda: len(watch.items) > known + 45)
    frames = [item for item in watch.items[known:] if isinstance(item, Frame)]
    return frames[0].start_sample + heard_at(np.concatenate([frame.samples for frame in frames]), signal)


async def test_what_is_played_is_captured_bit_exact(server: SoundServer) -> None:
    async with capturing() as watch:
        await hear(watch, server)
        assert watch.gaps == []
        assert watch.keeper.state.microphone == "Blue Yeti"
        assert [state.condition for _, state in watch.states] == [CaptureCondition.OPENING, CaptureCondition.OPEN]
    assert watch.condition() is CaptureCondition.CLOSED


async def test_a_moment_is_mapped_to_its_sample_by_the_age_that_the_server_measures(pulse: SoundServer) -> None:
    chunks: list[Chunk] = []
    microphone = PortAudioMicrophone(MicrophoneSettings())
    microphone.open(chunks.append)
    eventually_blocking(lambda: len(chunks) > 5)
    microphone.close()
    assert all(chunk.age_s is not None for chunk in chunks)
    async with capturing() as watch:
        await eventually(watch.is_open)
        began_s = time.monotonic()
        first = await hear(watch, pulse)
        tolerance = SAMPLE_RATE // 2  # a busy machine delays the server's clock and the program that plays
        assert watch.keeper.captured_at(began_s) <= first + tolerance, "captured before it was played"
        assert watch.keeper.captured_at(time.monotonic()) >= first + SAMPLE_RATE, "all of it was captured by now"


@pytest.mark.parametrize(
    ("current_s", "captured_s", "expected"),
    [
        (100.0, 99.9, 0.036),
        (100.0, 99.936, 0.0),
        (100.0, 99.99, 0.0),
        (100.0, 0.0, None),
        (100.0, 98.0, None),
        (100.0, 101.0, None),
    ],
    ids=["measured", "just complete", "rounded", "no time", "impossibly old", "from the future"],
)
def test_the_age_of_a_buffer_is_that_of_its_last_sample(
    current_s: float, captured_s: float, expected: float | None
) -> None:
    age_s = age_of_last({"current_time": current_s, "input_buffer_adc_time": captured_s}, 0.064)
    assert age_s == (None if expected is None else pytest.approx(expected))


async def test_a_killed_server_is_noticed_in_time_and_recovered_from(server: SoundServer) -> None:
    async with capturing() as watch:
        first = await hear(watch, server)
        killed_s = time.monotonic()
        server.kill()
        await eventually(watch.is_lost)
        assert watch.when(CaptureCondition.LOST) - killed_s < NOTICED_S
        assert "is missing" in watch.states[-1][1].reason
        await eventually(lambda: "lists no input device" in watch.keeper.state.reason)
        server.restart()
        second = await hear(watch, server)
        (gap,) = watch.gaps
        assert gap.reason is GapReason.REOPENED
        assert first < gap.start_sample < gap.start_sample + gap.samples <= second
        reopened_s = watch.when(CaptureCondition.OPEN, after_s=killed_s)
        assert gap.samples / SAMPLE_RATE == pytest.approx(reopened_s - killed_s, abs=0.5)
        assert watch.longest_beat_s < BEAT_LIMIT_S


async def test_a_frozen_server_stops_neither_the_loop_nor_the_promise_and_is_recovered_from(
    server: SoundServer,
) -> None:
    async with capturing() as watch:
        await hear(watch, server)
        frozen_s = time.monotonic()
        server.freeze()
        await eventually(watch.is_lost)
        assert watch.when(CaptureCondition.LOST) - frozen_s < NOTICED_S
        await eventually(lambda: time.monotonic() - frozen_s > 8)
        assert watch.is_lost()
        server.thaw()
        await hear(watch, server)
        assert watch.longest_beat_s < BEAT_LIMIT_S


async def test_a_server_that_was_frozen_goes_on_with_the_open_stream(server: SoundServer) -> None:
    """Reopening would lose speech until the new stream delivers."""
    async with capturing() as watch:
        await hear(watch, server)
        server.freeze()
        await eventually(watch.is_lost)
        server.thaw()
        await hear(watch, server)
        assert watch.is_open()
        assert GapReason.REOPENED not in {gap.reason for gap in watch.gaps}
        assert [state.condition for _, state in watch.states].count(CaptureCondition.OPENING) == 1


async def test_with_a_frozen_server_closing_ends_in_time_all_the_same(server: SoundServer) -> None:
    async with capturing() as watch:
        await eventually(watch.is_open)
        server.freeze()
        await eventually(watch.is_lost)
        closing_s = time.monotonic()
        await watch.keeper.close(timeout_s=1.0)
        assert watch.when(CaptureCondition.CLOSED) - closing_s < 5.0
        server.thaw()


async def test_a_microphone_that_opens_after_its_release_is_closed_again(pulse: SoundServer) -> None:
    """A sound server that hangs while opening opens the device after it is thawed, when it is no longer needed."""
    pulse.freeze()
    async with capturing() as watch:
        await eventually(watch.is_lost)
        await watch.keeper.release(timeout_s=0.2)
        assert watch.condition() is CaptureCondition.CLOSED
        pulse.thaw()
        await watch.keeper._device._thread.submit(int)  # runs after the calls before it
        assert not watch.keeper.device_open


async def test_a_microphone_that_cannot_be_opened_after_its_release_leaves_no_unread_error(pulse: SoundServer) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    pulse.freeze()
    async with capturing() as watch:
        await eventually(lambda: watch.keeper.hanging_s(time.monotonic()) > 0)
        await watch.keeper.release(timeout_s=0.1)
        pulse.kill()
        await watch.keeper._device._thread.submit(int)  # runs after the calls before it
    gc.collect()
    assert reported == []


async def test_a_microphone_that_is_still_being_opened_is_not_said_to_hang(
    pulse: SoundServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening takes some seconds on a busy machine."""
    pulse.freeze()
    async with capturing() as watch:
        await eventually(lambda: watch.keeper.hanging_s(time.monotonic()) > CALL_PATIENCE_S + 1)
        assert watch.condition() is CaptureCondition.OPENING
        await watch.keeper.release(timeout_s=0.1)
        assert "not closed after 0.1 s: the call that opens the microphone has not returned for" in caplog.text
        pulse.thaw()


async def test_a_server_frozen_from_the_start_is_told(pulse: SoundServer) -> None:
    pulse.freeze()
    async with capturing() as watch:
        await eventually(watch.is_lost)
        assert watch.keeper.state.reason == f"the call that opens the microphone has not returned for 5 s: {NO_ANSWER}"
        pulse.thaw()
        await hear(watch, pulse)
        assert watch.longest_beat_s < BEAT_LIMIT_S


async def test_a_call_that_hung_is_running_until_the_event_loop_knows_of_its_end(pulse: SoundServer) -> None:
    """Between the end of its thread and the next turn of the loop, the promise would otherwise look broken."""
    pulse.freeze()
    async with capturing() as watch:
        await eventually(watch.is_lost)
        pulse.thaw()
        while watch.keeper._device.busy_since_s is not None:
            time.sleep(0.01)  # the loop is deliberately blocked
        assert watch.keeper.promise_kept(time.monotonic() + 3600)


async def test_a_suspended_source_is_told_and_recovered_from(pulse: SoundServer) -> None:
    async with capturing() as watch:
        await hear(watch, pulse)
        suspended_s = time.monotonic()
        await asyncio.to_thread(pulse.suspend)
        await eventually(watch.is_lost)
        assert watch.when(CaptureCondition.LOST) - suspended_s < NOTICED_S
        assert "delivers no audio" in watch.keeper.state.reason
        await asyncio.to_thread(functools.partial(pulse.suspend, suspended=False))
        await hear(watch, pulse)
        await eventually(lambda: len(watch.gaps) == 1)
        assert watch.gaps[0].reason in {GapReason.REOPENED, GapReason.STALLED}, "reopened after another second"


async def test_without_a_server_it_waits_and_begins_when_one_comes(pulse: SoundServer) -> None:
    pulse.kill()
    async with capturing() as watch:
        await eventually(watch.is_lost)
        assert "Is the sound server running?" in watch.keeper.state.reason
        begun_s = time.monotonic()
        await eventually(lambda: time.monotonic() - begun_s > 6)
        assert watch.items == []
        assert len(watch.states) == 2, "waiting is reported once"
        pulse.restart()
        assert await hear(watch, pulse) >= 0
        assert watch.frames[0].start_sample == 0


async def test_a_server_without_a_microphone_is_told_quietly_and_a_microphone_that_comes_is_found(
    pulse: SoundServer, capfd: pytest.CaptureFixture[str]
) -> None:
    for module in ("module-remap-source", "module-null-sink"):
        pulse._run("pactl", "unload-module", module)
    async with capturing() as watch:
        await eventually(watch.is_lost)
        assert "The sound server has no microphone" in watch.keeper.state.reason
        begun_s = time.monotonic()
        await eventually(lambda: time.monotonic() - begun_s > 3)
        assert capfd.readouterr().err == ""
        await asyncio.to_thread(pulse._run, "pactl", "load-module", "module-null-sink", "sink_name=speaker1")
        await asyncio.to_thread(pulse.plug, 1)
        await eventually(watch.is_open)


async def test_the_servers_default_source_is_followed(pulse: SoundServer) -> None:
    async with capturing() as watch:
        await hear(watch, pulse)
        await asyncio.to_thread(pulse.set_default_source, "mic2")
        await asyncio.to_thread(pulse._run, "pactl", "unload-module", "module-remap-source")
        await asyncio.to_thread(
            pulse._run, "pactl", "load-module", "module-remap-source", "master=speaker1.monitor", "source_name=mic3"
        )
        await asyncio.to_thread(pulse.set_default_source, "mic3")
        await hear(watch, pulse)


def test_a_microphone_is_chosen_by_its_name_or_part_of_it(server: SoundServer) -> None:
    for wanted, description in (("default", "Blue Yeti"), ("mic2", "Built-in Audio"), ("yeti", "Blue Yeti")):
        microphone = PortAudioMicrophone(MicrophoneSettings(device=wanted))
        assert microphone.open(lambda _: None).name == description
        view = look()
        assert view is not None
        heard = view.source(view.heard)
        assert heard is not None
        assert heard.description == description
        microphone.close()
    with pytest.raises(CaptureFault, match=r"no microphone “Snowball”. Available: “Blue Yeti”, “Built-in Audio”"):
        PortAudioMicrophone(MicrophoneSettings(device="Snowball")).open(lambda _: None)
    assert server.is_answering()


def test_a_stream_that_the_server_would_have_elsewhere_is_held_to_what_was_chosen(server: SoundServer) -> None:
    """The server may remember another source for this program."""
    microphone = PortAudioMicrophone(MicrophoneSettings(device="mic1"))
    microphone.open(lambda _: None)
    server.move_stream("mic2")
    eventually_blocking(lambda: (view := look()) is not None and view.heard == "mic2")
    assert (view := hold_to("mic1")) is not None
    assert view.heard == "mic1"
    microphone.close()


@pytest.mark.usefixtures("pulse")
def test_portaudio_itself_lists_no_more_than_the_server() -> None:
    assert "pulse" in [device.name for device in list_devices()]


def test_a_device_of_another_rate_is_heard_at_16_khz_on_all_its_channels(pulse: SoundServer) -> None:
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.rint(np.sin(seconds * 2 * np.pi * 440) * 12_000).astype(np.int16)
    chunks: list[Chunk] = []
    microphone = PortAudioMicrophone(MicrophoneSettings(), formats=lambda _: [(48_000, 2)])
    microphone.open(chunks.append)
    pulse.play(spoken(pulse, tone))
    microphone.close()
    assert {chunk.samples.shape[1] for chunk in chunks} == {2}
    samples = np.concatenate([chunk.samples for chunk in chunks]).mean(axis=1)
    steady = samples[np.flatnonzero(np.abs(samples) > 1000)[0] + 1600 :][:24_000]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady))))
    assert spectrum.argmax() * SAMPLE_RATE / len(steady) == pytest.approx(440, abs=2)
    assert np.abs(steady).max() == pytest.approx(12_000, rel=0.05)


def test_the_bare_sound_card_is_not_taken_while_the_server_that_was_used_is_away(pulse: SoundServer) -> None:
    card = pulse.directory / ".asoundrc"
    microphone = PortAudioMicrophone(MicrophoneSettings())
    microphone.open(lambda _: None)
    microphone.close()
    pulse.kill()
    card.write_text("pcm.!default { type null }\n")  # like a machine's ALSA device while no server runs
    assert [device.name for device in list_devices()] == ["default"]
    with pytest.raises(CaptureFault, match="no microphone “default”"):
        microphone.open(lambda _: None)
    fresh = PortAudioMicrophone(MicrophoneSettings())
    assert fresh.open(lambda _: None).name == "default"
    assert fresh.bare == ("default",)
    fresh.close()


@pytest.mark.usefixtures("pulse")
def test_a_device_that_refuses_every_format_is_a_fault_that_names_them() -> None:
    microphone = PortAudioMicrophone(MicrophoneSettings(), formats=lambda _: [(16_000, 99), (48_000, 98)])
    with pytest.raises(CaptureFault, match=r"no microphone that can be opened \(16000 Hz x 99: .*; 48000 Hz x 98: "):
        microphone.open(lambda _: None)
    assert not microphone.is_delivering()


@pytest.mark.usefixtures("pulse")
def test_a_receiver_that_fails_ends_the_stream_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Chunk) -> None:
        raise LookupError("full")

    microphone = PortAudioMicrophone(MicrophoneSettings())
    microphone.open(fail)
    eventually_blocking(lambda: not microphone.is_delivering())
    microphone.close()
    assert "LookupError: full" in caplog.text


@pytest.mark.usefixtures("pulse")
def test_nothing_of_alsas_complaints_reaches_standard_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "coldvoxd.audio.library_stderr"):
        list_devices()
    assert capfd.readouterr() == ("", "")
    assert "ALSA" in caplog.text


@pytest.mark.usefixtures("pulse")
def test_closing_twice_and_asking_a_closed_microphone_is_harmless() -> None:
    microphone = PortAudioMicrophone(MicrophoneSettings())
    assert not microphone.is_delivering()
    microphone.close()
    microphone.open(lambda _: None)
    assert microphone.is_delivering()
    microphone.close()
    microphone.close()
    assert not microphone.is_delivering()
