"""Files are transcribed without a daemon: completely, in order, with the times of their words."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import FileFault, ProviderFault
from coldvoxd.core.values import FRAME_SAMPLES, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.transcription import Transcription, transcribe_file
from coldvoxd.models import find_model
from coldvoxd.vad.silero import SileroDetector
from tests.support.models.tiny_graphs import HELLO, write_tiny_parakeet
from tests.support.sound.speech import Wave, mini, samples


class LevelDetector:
    """A SpeechDetector that treats audio louder than -40 dBFS as speech."""

    def score(self, frame: npt.NDArray[np.int16]) -> float:
        assert frame.shape == (FRAME_SAMPLES,)
        assert frame.dtype == np.int16
        return float(np.sqrt(np.mean((frame / 32768.0) ** 2)) > 0.01)

    def follow_level(self, follow: bool) -> None:
        """Do nothing: the detector always follows the level."""

    def reset(self) -> None:
        """Do nothing: the detector has no state."""


class Deaf(LevelDetector):
    """A detector that never detects speech."""

    def score(self, frame: npt.NDArray[np.int16]) -> float:
        return 0.0 * super().score(frame)


class Listener:
    """Wraps a recognizer, and records its utterances."""

    def __init__(self, recognizer: ParakeetRecognizer) -> None:
        self._recognizer = recognizer
        self.utterances: list[Utterance] = []

    @property
    def provider(self) -> str:
        return self._recognizer.provider

    @property
    def precision(self) -> Precision:
        return Precision.FP32

    @property
    def features_size(self) -> int:
        return self._recognizer.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._recognizer.languages

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        self.utterances.append(utterance)
        return self._recognizer.recognize(utterance, stop)

    def close(self) -> None:
        self._recognizer.close()


@pytest.fixture(scope="module")
def recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(mini()), Precision.FP32), threads=1)


@pytest.fixture
def listener(recognizer: ParakeetRecognizer) -> Listener:
    return Listener(recognizer)


def room(seconds: float) -> Wave:
    return np.random.default_rng(1).normal(0, 1e-3, round(seconds * 16_000)).astype(np.float32)


def recorded(directory: Path, *parts: Wave, name: str = "talk.wav") -> Path:
    soundfile.write(directory / name, np.concatenate(parts), 16_000, subtype="FLOAT" if name.endswith("wav") else None)
    return directory / name


def test_a_recording_of_one_sentence_is_one_piece(recognizer: ParakeetRecognizer) -> None:
    for sample in samples():
        listener = Listener(recognizer)
        transcript = transcribe_file(sample.path, listener, LevelDetector())
        assert transcript.text == recognizer.recognize_samples(sample.wave()).text
        assert len(listener.utterances) == 1
        assert transcript.duration_s == pytest.approx(len(sample.wave()) / 16_000)
        assert 0 < transcript.confidence <= 1


def test_with_the_real_detector_the_samples_are_heard_as_the_reference_hears_them(
    recognizer: ParakeetRecognizer,
) -> None:
    detector = SileroDetector()
    heard = [transcribe_file(sample.path, recognizer, detector).text for sample in samples()]
    assert heard == [sample.heard["fp32"] for sample in samples()]


def test_with_the_real_detector_a_talk_of_a_minute_loses_no_word(
    tmp_path: Path, recognizer: ParakeetRecognizer
) -> None:
    talk = recorded(tmp_path, *(sample.wave() for sample in samples() + samples()[:6]), name="talk.ogg")
    words_said = " ".join(sample.said for sample in samples() + samples()[:6]).split()
    heard = transcribe_file(talk, recognizer, SileroDetector())
    assert heard.duration_s > 60
    assert len(heard.words) == pytest.approx(len(words_said), rel=0.05)


@pytest.mark.parametrize("seconds", [1, 5])
def test_with_the_real_detector_noise_and_tones_are_no_speech(
    tmp_path: Path, recognizer: ParakeetRecognizer, seconds: int
) -> None:
    time_s = np.arange(16_000 * seconds) / 16_000
    for sound in (room(seconds) * 30, 0.3 * np.sin(2 * np.pi * 440 * time_s), np.zeros(len(time_s))):
        path = recorded(tmp_path, sound.astype(np.float32))
        assert transcribe_file(path, recognizer, SileroDetector()).text == ""


def test_silence_around_speech_is_trimmed_and_times_count_from_the_files_beginning(
    tmp_path: Path, listener: Listener
) -> None:
    sample = samples()[2]
    plain = transcribe_file(sample.path, listener, LevelDetector())
    late = transcribe_file(recorded(tmp_path, room(7), sample.wave(), room(6)), listener, LevelDetector())
    assert late.text == plain.text
    assert listener.utterances[-1].duration_s < len(sample.wave()) / 16_000 + 1.1
    for early_word, late_word in zip(plain.words, late.words, strict=True):
        assert late_word.start_s == pytest.approx(early_word.start_s + 7, abs=0.17)


def test_pauses_in_a_short_recording_do_not_cut_it(tmp_path: Path, listener: Listener) -> None:
    first, second = samples()[1].wave(), samples()[5].wave()
    transcribe_file(recorded(tmp_path, first, room(8), second), listener, LevelDetector())
    assert len(listener.utterances) == 1


def test_a_long_recording_is_cut_in_its_pauses_and_none_of_it_is_lost(tmp_path: Path, listener: Listener) -> None:
    parts: list[Wave] = []
    for sample in samples():
        parts += [sample.wave(), room(0.8)]
    transcript = transcribe_file(recorded(tmp_path, *parts), listener, LevelDetector())
    assert transcript.duration_s > 60
    assert len(listener.utterances) >= 4
    assert all(utterance.duration_s <= 20 for utterance in listener.utterances)
    words_said = " ".join(sample.heard["fp32"] for sample in samples()).split()
    assert len(transcript.words) == pytest.approx(len(words_said), rel=0.05)
    starts = [word.start_s for word in transcript.words]
    assert starts == sorted(starts)
    assert transcript.words[-1].end_s == pytest.approx(transcript.duration_s, abs=2.5)
    assert " ".join(word.text for word in transcript.words) == transcript.text


def test_pieces_are_no_longer_than_the_model_can_take(tmp_path: Path, listener: Listener) -> None:
    path = recorded(tmp_path, *(sample.wave() for sample in samples()))
    whole = transcribe_file(path, listener, LevelDetector())
    assert max(utterance.duration_s for utterance in listener.utterances) > 10
    listener.utterances.clear()
    shorter = transcribe_file(path, listener, LevelDetector(), longest_s=10)
    assert all(utterance.duration_s <= 10 for utterance in listener.utterances)
    assert len(shorter.words) == pytest.approx(len(whole.words), rel=0.05)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_file_of_any_kind_says_the_same(tmp_path: Path, listener: Listener, rate: int, suffix: str) -> None:
    sample = samples()[2]
    stereo = np.tile(soxr.resample(sample.wave(), 16_000, rate)[:, None], 2)
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, stereo, rate)
    words = transcribe_file(path, listener, LevelDetector()).text.split()
    assert len(set(words) & set(sample.said.split())) >= 0.7 * len(words) > 0


def test_where_there_is_no_speech_the_text_is_empty(tmp_path: Path, listener: Listener) -> None:
    for seconds in (1, 5):
        transcript = transcribe_file(recorded(tmp_path, room(seconds)), listener, LevelDetector())
        assert (transcript.text, transcript.words, transcript.confidence) == ("", (), 0.0)
        assert transcript.duration_s == seconds
    assert listener.utterances == []


def test_a_short_audible_recording_is_recognized_though_no_speech_was_detected(
    tmp_path: Path, listener: Listener
) -> None:
    sample = samples()[0]
    assert transcribe_file(sample.path, listener, Deaf()).text == sample.heard["fp32"]
    long = recorded(tmp_path, sample.wave(), room(3))
    assert transcribe_file(long, listener, Deaf()).text == ""


def test_what_was_recognized_doubtfully_in_doubtful_speech_does_not_count(tmp_path: Path) -> None:
    unsure = write_tiny_parakeet(tmp_path / "tiny", HELLO, certainty=0.1)
    recognizer = ParakeetRecognizer.open(find_model(str(unsure), Precision.FP32))
    assert transcribe_file(samples()[0].path, recognizer, LevelDetector()).text == "Hello, world."
    assert transcribe_file(samples()[0].path, recognizer, Deaf()).text == ""


@pytest.mark.parametrize("count", [1, 100, 1000])
@pytest.mark.parametrize("rate", [8_000, 16_000, 96_000])
def test_a_recording_of_next_to_nothing_has_no_text(tmp_path: Path, listener: Listener, count: int, rate: int) -> None:
    soundfile.write(tmp_path / "click.wav", np.full(count, 0.5), rate)
    assert transcribe_file(tmp_path / "click.wav", listener, Deaf()).text == ""


def test_progress_goes_up_to_one(tmp_path: Path, listener: Listener) -> None:
    told: list[float] = []
    waves = [sample.wave() for sample in samples()]
    transcribe_file(recorded(tmp_path, *waves, name="talk.flac"), listener, LevelDetector(), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 5


def test_a_file_without_speech_says_so(tmp_path: Path, listener: Listener) -> None:
    transcript = transcribe_file(recorded(tmp_path, room(8.0)), listener, Deaf())
    assert (transcript.text, transcript.warnings) == ("", ("No speech was found.",))


def test_speech_that_gives_no_words_is_reported_with_its_times(tmp_path: Path, listener: Listener) -> None:
    sample = samples()[0].wave()
    path = recorded(tmp_path, room(4.0), sample, sample, room(4.0))

    class Wordless(Listener):
        """A recognizer that finds no words."""

        def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
            return replace(super().recognize(utterance, stop), tokens=(), text="", words=())

    transcript = transcribe_file(path, Wordless(listener._recognizer), LevelDetector())
    assert transcript.text == ""
    assert transcript.warnings
    for warning in transcript.warnings:
        assert re.fullmatch(
            r"No words were recognized from 0:0\d\.\d to 0:\d\d\.\d, where there may be speech\.", warning
        )


def test_a_short_noise_that_gives_no_words_is_reported_once(tmp_path: Path, listener: Listener) -> None:
    click = np.full(4 * FRAME_SAMPLES, 0.2, np.float32) * np.tile(np.array([1, -1], np.float32), 2 * FRAME_SAMPLES)
    transcript = transcribe_file(recorded(tmp_path, room(4.0), click, room(4.0)), listener, LevelDetector())
    assert transcript.text == ""
    assert len(transcript.warnings) == 1


def test_a_file_that_is_no_audio_is_refused(tmp_path: Path, listener: Listener) -> None:
    (tmp_path / "talk.wav").write_text("no")
    with pytest.raises(FileFault):
        transcribe_file(tmp_path / "talk.wav", listener, LevelDetector())


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_file_that_shrinks_while_it_is_read_is_reported(
    tmp_path: Path, recognizer: ParakeetRecognizer, size: int
) -> None:
    parts = [part for sample in samples() for part in (sample.wave(), room(0.8))]
    path = recorded(tmp_path, *parts)
    transcription = Transcription(AudioFile.open(path), LevelDetector())
    for piece in transcription.steps():
        if isinstance(piece, Utterance):
            transcription.take(piece, recognizer.recognize(piece))
            os.truncate(path, size)
    (warning,) = transcription.result().warnings
    at = re.fullmatch(r"The file was truncated while it was read: the audio after 0:(\d\d\.\d) is missing\.", warning)
    assert at
    assert transcription.result().text
    assert transcription.result().words[-1].end_s <= float(at[1])


def test_a_failing_provider_is_never_an_empty_text(tmp_path: Path) -> None:
    broken = write_tiny_parakeet(tmp_path / "tiny", fault="raise")
    recognizer = ParakeetRecognizer.open(find_model(str(broken), Precision.FP32))
    with pytest.raises(ProviderFault):
        transcribe_file(samples()[0].path, recognizer, LevelDetector())
