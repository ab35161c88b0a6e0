"""Multichannel microphones through real sound servers: each channel is captured unchanged, the voice recognized."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from coldvoxd.audio.portaudio import PortAudioMicrophone
from coldvoxd.bus.interface_xml import DICTATION, ENGINE
from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.values import SAMPLE_RATE
from tests.component.audio.test_portaudio import PIPEWIRE
from tests.support.daemon.dictating import Dictating, dictating, lost_words
from tests.support.eventually import eventually_blocking
from tests.support.sound.servers import PulseServer, SoundServer, running
from tests.support.sound.speech import Wave, samples

SIDES = ("front-left", "front-right")
SURROUND = ("front-left", "front-right", "front-center", "lfe", "rear-left", "rear-right")
EIGHT = ("front-left", "front-right", "rear-left", "rear-right", "front-center", "lfe", "side-left", "side-right")
PRO = tuple(f"aux{number}" for number in range(8))
ANNA = samples()[2]


@pytest.fixture(params=[pytest.param(PulseServer, id="pulseaudio"), PIPEWIRE])
def server(request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    with running(request.param) as server, server.adopted():
        yield server


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    with running(PulseServer) as server:
        yield server


def written(server: SoundServer, channels: npt.NDArray[np.float32]) -> Path:
    file = server.directory / "many.wav"
    soundfile.write(file, channels, SAMPLE_RATE, subtype="PCM_16")
    return file


def tones(count: int) -> npt.NDArray[np.float32]:
    """Return consecutive tones of 0.2 s, each on its own channel with its own frequency."""
    wave = np.zeros((count * 3200, count), np.float32)
    for channel in range(count):
        seconds = np.arange(3200) / SAMPLE_RATE
        wave[channel * 3200 :][:3200, channel] = 0.4 * np.sin(2 * np.pi * frequency(channel) * seconds)
    return wave


def frequency(channel: int) -> int:
    return 400 + 200 * channel


@pytest.mark.parametrize("positions", [SIDES, SURROUND, EIGHT, PRO, PRO[:2], PRO[:3], ("front-left", "front-center")])
def test_each_channel_comes_as_it_is_and_in_the_order_of_the_source(
    server: SoundServer, positions: tuple[str, ...]
) -> None:
    server.plug_many(positions)
    chunks: list[Chunk] = []
    microphone = PortAudioMicrophone(MicrophoneSettings())
    opened = microphone.open(chunks.append)
    assert (opened.name, opened.channels) == ("Array9", len(positions))
    server.play(written(server, tones(len(positions))), "speaker9", positions)
    eventually_blocking(lambda: chunks and np.abs(chunks[-1].samples).max() == 0, what="silence after the tones")
    microphone.close()
    heard = np.concatenate([chunk.samples for chunk in chunks]).astype(float)
    moments = np.arange(len(heard)) / SAMPLE_RATE
    carriers = [np.exp(-2j * np.pi * frequency(channel) * moments) for channel in range(len(positions))]
    strength = np.array([np.abs(carrier @ heard) for carrier in carriers])
    assert strength.argmax(axis=1).tolist() == list(range(len(positions)))
    assert (np.sort(strength, axis=1)[:, -2] < 0.1 * strength.max(axis=1)).all(), "each tone is on its own channel only"


def quiet(like: Wave) -> Wave:
    return np.random.default_rng(len(like)).normal(0, 10 ** (-70 / 20), len(like)).astype(np.float32)


async def say(daemon: Dictating, server: SoundServer, positions: tuple[str, ...], *channels: Wave) -> str:
    """Return the text of a session in which the channels are played."""
    file = written(server, np.stack([np.concatenate((channel, channel[:1] * 0)) for channel in channels], axis=1))
    await daemon.client.call("StartDictation")
    await daemon.until("Open", True)
    await asyncio.to_thread(server.play, file, "speaker9", positions)
    return str(await daemon.client.call("StopDictation"))


async def test_opposite_phases_are_heard(pulse: SoundServer) -> None:
    pulse.plug_many(SIDES)
    voice = ANNA.wave()
    async with dictating(pulse) as daemon:
        for _ in range(2):
            assert lost_words(await say(daemon, pulse, SIDES, voice, -voice), ANNA) == 0


async def test_a_voice_on_one_of_eight_channels_is_heard_from_its_first_word(pulse: SoundServer) -> None:
    pulse.plug_many(EIGHT)
    voice = ANNA.wave() * np.float32(0.05)
    channels = [voice if number == 4 else quiet(voice) for number in range(8)]
    async with dictating(pulse) as daemon:
        assert lost_words(await say(daemon, pulse, EIGHT, *channels), ANNA) == 0


async def test_a_channel_is_named_reloaded_and_explained_where_it_is_missing(pulse: SoundServer) -> None:
    pulse.plug_many(SIDES)
    settings = pulse.directory / "config" / "coldvoxd" / "coldvoxd.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text("[microphone]\nchannel = 2\n")
    first, second = ANNA, samples()[3]
    length = max(len(sample.wave()) for sample in (first, second))
    waves = [np.pad(sample.wave(), (0, length - len(sample.wave()))) for sample in (first, second)]
    async with dictating(pulse) as daemon:
        assert lost_words(await say(daemon, pulse, SIDES, *waves), second) == 0
        settings.write_text('[microphone]\nchannel = "left"\n')
        await daemon.client.call("Reload", interface=ENGINE)
        assert lost_words(await say(daemon, pulse, SIDES, *waves), first) == 0
        settings.write_text("[microphone]\nchannel = 5\n")
        await daemon.client.call("Reload", interface=ENGINE)
        assert await daemon.get("Problem") == (
            "The microphone “Array9” has 2 channels, and channel is 5: set it to auto, mix or a number from 1 to 2. "
            "Until then, auto is used."
        )
        assert await daemon.get("Degraded", ENGINE) == "microphone-channel"
        assert await daemon.get("State", DICTATION) == "idle"
        assert lost_words(await say(daemon, pulse, SIDES, waves[0], -waves[0]), first) == 0
        settings.write_text("")
        await daemon.client.call("Reload", interface=ENGINE)
        assert (await daemon.get("Problem"), await daemon.get("Degraded", ENGINE)) == ("", "")


async def test_a_stream_that_a_person_moves_stays_where_it_is_whatever_the_channels(pulse: SoundServer) -> None:
    pulse.plug_many(SIDES)
    await asyncio.to_thread(pulse.set_default_source, "mic1")
    async with dictating(pulse) as daemon:
        await daemon.until("Device", "Blue Yeti")
        await asyncio.to_thread(pulse.move_stream, "mic9")
        await daemon.until("Device", "Array9")
        voice = ANNA.wave()
        assert lost_words(await say(daemon, pulse, SIDES, voice, voice), ANNA) == 0
        assert await daemon.get("Device") == "Array9"


async def test_a_default_that_has_other_channels_is_opened_anew(pulse: SoundServer) -> None:
    """The server moves our stream, and would remix it to the channels of the previous source."""
    async with dictating(pulse) as daemon:
        await daemon.until("Device", "Blue Yeti")
        await asyncio.to_thread(pulse.plug_many, SIDES)
        await daemon.until("Device", "Array9")
        # Until then the server remixes both channels to one, in which this voice is silent.
        await asyncio.to_thread(
            eventually_blocking, lambda: pulse.recorded_channels() == [len(SIDES)], what="a stream with both channels"
        )
        voice = ANNA.wave()
        assert lost_words(await say(daemon, pulse, SIDES, voice, -voice), ANNA) == 0
