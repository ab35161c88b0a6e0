"""Which channel dictation uses: a real pipeline with the real detector, and frames with several channels."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core import spool_format
from coldvoxd.core.audio_values import Frame, GapReason
from coldvoxd.core.channels import AUTO, Channel, parse
from coldvoxd.core.endpointing import EndpointState, Scored
from coldvoxd.core.framing import Reframer
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EngineStatus, Hypothesis, SessionOptions, Utterance
from coldvoxd.crash_recovery.spool import Spool
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.controller import DictationController
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.vad.silero import SileroDetector
from tests.component.files.test_channels import ANNA, REPORT, bangs, channels_of, noise
from tests.support.dictation_scene import ScriptedCapture
from tests.support.sound.speech import Wave

Samples = npt.NDArray[np.int16]
HUSH_S = 1.5


class Engine:
    """An engine that records its utterances."""

    def __init__(self) -> None:
        self.status = EngineStatus(ready=True)
        self.longest_s = math.inf
        self.seam_method = SeamMethod.OFF
        self.heard: list[Utterance] = []
        self.idle = True

    def check_ready(self) -> None: ...

    async def recognize_partial(self, utterance: Utterance) -> None:
        raise AssertionError(f"no session has partial transcripts, and utterance {utterance.id} was to be recognized")

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        self.heard.append(utterance)
        return Hypothesis("heard", (), (), 0.9, "CPUExecutionProvider", 0.01)


class Counting:
    """A detector that counts its calls."""

    def __init__(self) -> None:
        self._real = SileroDetector()
        self.asked = 0

    def score(self, samples: Samples) -> float:
        self.asked += 1
        return self._real.score(samples)

    def follow_level(self, follow: bool) -> None:
        self._real.follow_level(follow)

    def reset(self) -> None:
        self._real.reset()


class Room:
    """A multichannel microphone in a room, and the pipeline that processes its audio."""

    def __init__(self, setting: Channel = AUTO, scout: SpeechDetector | None = None) -> None:
        self.engine = Engine()
        self.selector = ChannelSelector(scout or SileroDetector(), setting)
        self.heard: list[Samples] = []
        self.frames = Reframer()
        self.pipeline = DictationController(
            SileroDetector(),
            self.selector,
            self.engine,
            ScriptedCapture(),
            Sinks(LastUtterance(self.engine.recognize, Metrics())),
            endpoint=EndpointSettings(),
            settings=DictationSettings(speculate=False),
            pre_roll_ms=1500,
        )
        self.pipeline.on_capture(True)

    @property
    def now_s(self) -> float:
        return self.frames.next_sample / SAMPLE_RATE

    async def hear(self, *channels: Wave) -> None:
        """Pass the audio to the pipeline in chunks as PortAudio delivers them."""
        wave = np.stack(channels, axis=1)
        samples = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
        self.heard.append(samples)
        for start in range(0, len(samples), 1024):
            for frame in self.frames.push(samples[start : start + 1024]):
                self.pipeline.on_item(frame)
                await asyncio.sleep(0)

    def start(self) -> None:
        self.pipeline.start(":1.1", SessionOptions(), self.now_s)

    async def utterances(self) -> list[Utterance]:
        """Stop the session and return all of its utterances."""
        quiet = np.zeros(round(HUSH_S * SAMPLE_RATE), np.float32)
        stopping = asyncio.create_task(self.pipeline.stop(":1.1", self.now_s))
        await asyncio.sleep(0)
        await self.hear(*(noise(quiet, -75) for _ in range(self.heard[-1].shape[1])))
        await stopping
        return self.engine.heard

    def channel_of(self, utterance: Utterance) -> int:
        """Return the one channel from which all of the utterance's samples come; 0 for the mix."""
        everything = np.concatenate(self.heard)[utterance.start_sample :][: len(utterance.samples)]
        samples = np.rint(utterance.samples * 32768).astype(np.int16)
        found = [n + 1 for n in range(everything.shape[1]) if np.array_equal(everything[:, n], samples)]
        if np.array_equal(mixed(everything), samples):
            found.insert(0, 0)
        assert found, "not a single channel from end to end"
        return found[0]


@asynccontextmanager
async def room(setting: Channel = AUTO, scout: SpeechDetector | None = None) -> AsyncIterator[Room]:
    here = Room(setting, scout)
    running = asyncio.create_task(here.pipeline.run())
    try:
        yield here
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def hush(count: int, seconds: float = HUSH_S) -> list[Wave]:
    quiet = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    return [noise(quiet, -75) for _ in range(count)]


async def alone(voice: Wave) -> Utterance:
    """Return the utterance that a single-channel microphone gives for a voice."""
    async with room() as here:
        await here.hear(*hush(1))
        here.start()
        await here.hear(voice + noise(voice, -75))
        (utterance,) = await here.utterances()
        return utterance


@pytest.mark.parametrize(
    ("case", "channels"),
    [
        ("alike", {0}),
        ("one silent", {0}),
        ("opposite phases", {1, 2}),
        ("opposite phases, quiet", {1, 2}),
        ("third of eight", {3}),
        ("one of eight in a noisy room", {0, 5}),  # the mix detects the soft onset as early, and may keep the utterance
        ("noise on the other", {1}),
        ("bangs on the other", {1, 3}),
    ],
)
async def test_an_utterance_has_the_channel_with_the_voice_from_its_lead_to_its_tail(
    case: str, channels: set[int]
) -> None:
    voice = ANNA.wave()
    played = channels_of(case, voice)
    quiet = channels_of(case, np.zeros(round(HUSH_S * SAMPLE_RATE), np.float32))
    expected = await alone(voice)
    async with room() as here:
        await here.hear(*(wave + noise(wave, -75) for wave in quiet))
        here.start()
        await here.hear(*(wave + noise(wave, -75) for wave in played))
        (utterance,) = await here.utterances()
        assert here.channel_of(utterance) in channels
        assert utterance.start_sample <= expected.start_sample + 4 * FRAME_SAMPLES, "the first word is complete"
        assert len(utterance.samples) >= len(expected.samples) - 6 * FRAME_SAMPLES


async def test_the_channel_never_changes_within_an_utterance_and_does_before_the_next() -> None:
    first, second = ANNA.wave() * np.float32(0.2), REPORT.wave() * np.float32(0.9)
    joined = np.zeros_like(first)
    joined[len(first) // 2 :] = np.resize(second, len(first) - len(first) // 2)
    async with room() as here:
        await here.hear(*hush(8))
        here.start()
        await here.hear(*(wave + (first if n == 0 else joined if n == 3 else 0) for n, wave in enumerate(_like(first))))
        await here.hear(*hush(8))
        await here.hear(*(wave + (second if n == 3 else 0) for n, wave in enumerate(_like(second))))
        one, *others, last = (here.channel_of(utterance) for utterance in await here.utterances())
        assert (one, last) == (1, 4)
        assert {*others} <= {1, 4}


def _like(voice: Wave) -> list[Wave]:
    return [noise(voice, -75) for _ in range(8)]


async def test_the_mix_is_heard_again_once_it_has_everybody() -> None:
    voice = ANNA.wave()
    async with room() as here:
        await here.hear(*hush(4))
        here.start()
        quiet = [noise(voice, -75) for _ in range(4)]
        await here.hear(quiet[0], voice * np.float32(0.1), quiet[2], quiet[3])
        await here.hear(*hush(4))
        await here.hear(voice, quiet[1], voice, voice)
        one, two = await here.utterances()
        assert (here.channel_of(one), here.channel_of(two)) == (2, 0)


async def test_a_session_reaches_back_on_the_channel_with_the_voice() -> None:
    """A session starts in the middle of speech: audio before the call counts as it sounds on that channel."""
    voice = ANNA.wave() * np.float32(0.05)
    quiet = [noise(voice, -75) for _ in range(8)]
    quiet[5] = quiet[5] + voice
    middle = len(voice) // 2
    async with room() as here:
        await here.hear(*hush(8))
        await here.hear(*(wave[:middle] for wave in quiet))
        called_sample = here.frames.next_sample
        here.start()
        await here.hear(*(wave[middle:] for wave in quiet))
        utterances = await here.utterances()
        assert here.channel_of(utterances[0]) == 6
        assert utterances[0].start_sample < called_sample - 8000


async def test_a_choice_that_is_changed_counts_at_once_or_from_the_end_of_the_utterance() -> None:
    first, second = ANNA.wave(), REPORT.wave()
    async with room(parse("left")) as here:
        await here.hear(*hush(2))
        here.start()
        half = len(first) // 2
        other = np.resize(second, len(first))
        await here.hear(first[:half], other[:half])
        here.selector.use(parse(2))
        await here.hear(first[half:], other[half:])
        await here.hear(*hush(2))
        await here.hear(np.resize(first, len(second)), second)
        one, *_, last = await here.utterances()
        assert (here.channel_of(one), here.channel_of(last)) == (1, 2)


async def test_a_channel_that_is_not_there_is_heard_as_with_auto() -> None:
    voice = ANNA.wave()
    async with room(parse(7)) as here:
        await here.hear(*hush(2))
        here.start()
        await here.hear(voice, -voice)
        (utterance,) = await here.utterances()
        assert here.channel_of(utterance) in {1, 2}


async def test_a_microphone_of_one_channel_passes_untouched() -> None:
    selector = ChannelSelector(SileroDetector())
    frame = Frame(0, np.zeros(FRAME_SAMPLES, np.int16))
    assert not selector.note(frame, held=False)
    assert selector.heard(frame) is frame


async def test_a_lost_microphone_that_comes_back_with_fewer_channels_is_heard() -> None:
    voice = ANNA.wave()
    async with room() as here:
        await here.hear(*hush(8))
        here.start()
        quiet = [noise(voice, -75) for _ in range(8)]
        quiet[6] = voice
        await here.hear(*quiet)
        await here.hear(*hush(8))
        assert here.selector.number == 7
        here.pipeline.on_item(here.frames.skip(0, GapReason.REOPENED))
        here.heard.clear()
        before = here.frames.next_sample
        await here.hear(*hush(2))
        await here.hear(voice, voice)
        utterance = (await here.utterances())[-1]
        assert utterance.start_sample > before
        here.heard.insert(0, np.zeros((before, 2), np.int16))
        assert here.channel_of(utterance) == 0


async def test_noise_costs_next_to_nothing_and_leads_nowhere() -> None:
    """Tests a minute of a fan on one of four channels, and knocks on another."""
    quiet = np.zeros(20 * SAMPLE_RATE, np.float32)
    scout = Counting()
    async with room(scout=scout) as here:
        for _ in range(3):
            await here.hear(noise(quiet, -70), noise(quiet, -25), noise(quiet, -70), noise(quiet, -70))
        frames = 60 * SAMPLE_RATE // FRAME_SAMPLES
        assert scout.asked < 0.05 * frames
        await here.hear(bangs(quiet), noise(quiet, -40), noise(quiet, -70), noise(quiet, -70))
        assert here.selector.number == 0


def test_what_is_heard_again_is_kept_once(tmp_path: Path) -> None:
    """Tests a crash after a change of channel: the spool has each frame once, as recorded last."""
    spool = Spool(tmp_path, "bus", lambda _: None)
    state = EndpointState(floor_sample=0)
    spool.begin(SpooledSession(1, ":1.1", "", SessionOptions(), 0, EndpointSettings()), state)
    for value in (1, 2):
        if value == 2:
            spool.rewind(1, state, [])
        for start in range(0, 5 * FRAME_SAMPLES, FRAME_SAMPLES):
            frame = Frame(start, np.full(FRAME_SAMPLES, value, np.int16))
            spool.heard(1, Scored(start, frame.end_sample, 0.1, -60.0), frame)
    (file,) = tmp_path.glob("*.spool")
    segment = spool_format.read(file.read_bytes())
    assert [(frame.start_sample, frame.samples[0]) for frame in segment.frames] == [(n * 512, 2) for n in range(5)]
    assert len(segment.events) == 5
    spool.close()
