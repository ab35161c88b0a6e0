"""Recordings whose channels cancel, or of which only one has the voice, lose no word."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

from coldvoxd.core.channels import AUTO, MIX, Channel, parse
from coldvoxd.core.errors import FileFault
from coldvoxd.core.values import SAMPLE_RATE, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.models import find_model
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import samples

Wave = npt.NDArray[np.float32]
RNG = np.random.default_rng(5)
ANNA = samples()[2]
REPORT = samples()[3]


@pytest.fixture(scope="module")
def recognizer() -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32))


def noise(like: Wave, dbfs: float) -> Wave:
    return RNG.normal(0, 10 ** (dbfs / 20), len(like)).astype(np.float32)


def bangs(like: Wave) -> Wave:
    """Return two knocks per second, far louder than a voice."""
    wave = noise(like, -70)
    for at in range(2000, len(wave) - 2000, 8000):
        wave[at : at + 800] += noise(wave[at : at + 800], -6) * np.hanning(800).astype(np.float32)
    return wave


def one_of_eight(voice: Wave, place: int, gain: float, noise_dbfs: float) -> list[Wave]:
    """Return the voice on channel `place`, counted from 0, and noise on all eight channels."""
    return [noise(voice, noise_dbfs) + (voice * np.float32(gain) if number == place else 0) for number in range(8)]


ONE_OF_EIGHT = {
    "one of eight in a noisy room": (4, 0.2, -45.0),
    "one of eight in a loud room": (2, 0.2, -35.0),
    "last of eight, quiet": (7, 0.05, -45.0),
}
"""Place, gain, and noise level in dBFS."""


def channels_of(case: str, voice: Wave) -> list[Wave]:
    if case in ONE_OF_EIGHT:
        return one_of_eight(voice, *ONE_OF_EIGHT[case])
    hush = noise(voice, -80)
    match case:
        case "opposite phases":
            return [voice, -voice]
        case "opposite phases, quiet":
            return [voice * np.float32(0.05), voice * np.float32(-0.05)]
        case "third of eight":
            return [hush, hush, voice * np.float32(0.05), hush, hush, hush, hush, hush]
        case "one silent":
            return [voice, np.zeros_like(voice)]
        case "noise on the other":
            return [voice * np.float32(0.2), noise(voice, -16)]
        case "bangs on the other":
            return [voice * np.float32(0.2), bangs(voice), -voice * np.float32(0.2)]
        case "an offset on the other":
            return [voice * np.float32(0.05), np.full_like(voice, 0.9)]
        case "an offset on both":
            return [voice * np.float32(0.05) + np.float32(0.5), voice * np.float32(0.05) - np.float32(0.3)]
    return [voice, voice]


def written(path: Path, *channels: Wave, rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> Path:
    wave = np.stack(channels, axis=1)
    soundfile.write(
        path, wave if rate == SAMPLE_RATE else soxr.resample(wave, SAMPLE_RATE, rate), rate, subtype=subtype
    )
    return path


CASES = [
    "alike",
    "opposite phases",
    "opposite phases, quiet",
    "third of eight",
    "one of eight in a noisy room",
    "one of eight in a loud room",
    "last of eight, quiet",
    "one silent",
    "noise on the other",
    "bangs on the other",
    "an offset on the other",
    "an offset on both",
]


@pytest.mark.parametrize("case", CASES)
def test_auto_hears_what_the_voice_alone_says(tmp_path: Path, recognizer: ParakeetRecognizer, case: str) -> None:
    file = written(tmp_path / "talk.wav", *channels_of(case, ANNA.wave()))
    assert transcribe_file(file, recognizer, SileroDetector()).text == ANNA.heard["fp32"]


LOST_BY_AVERAGING = (
    "opposite phases",
    "opposite phases, quiet",
    "one of eight in a loud room",
    "last of eight, quiet",
    "noise on the other",
    "bangs on the other",
)


@pytest.mark.parametrize("case", LOST_BY_AVERAGING)
def test_averaging_would_lose_words_in_these_cases(tmp_path: Path, recognizer: ParakeetRecognizer, case: str) -> None:
    """Pins that the previous test fails if the channel is not selected."""
    file = written(tmp_path / "talk.wav", *channels_of(case, ANNA.wave()))
    assert transcribe_file(file, recognizer, SileroDetector(), channel=MIX).text != ANNA.heard["fp32"]


@pytest.mark.parametrize(("count", "place", "noise_dbfs"), [(6, 3, -40), (6, 3, -75), (2, 1, -75)])
def test_a_channel_of_a_file_at_96_khz(
    tmp_path: Path, recognizer: ParakeetRecognizer, count: int, place: int, noise_dbfs: float
) -> None:
    voice = ANNA.wave()
    channels = [voice * np.float32(0.1) if number == place else noise(voice, noise_dbfs) for number in range(count)]
    file = written(tmp_path / "talk.flac", *channels, rate=96_000, subtype="PCM_24")
    assert transcribe_file(file, recognizer, SileroDetector()).text == ANNA.heard["fp32"]


def test_a_voice_on_either_side_is_heard(tmp_path: Path, recognizer: ParakeetRecognizer) -> None:
    """Tests an interview with one person on each channel: 6 dB below is not far, and the mix has both."""
    first, second = ANNA.wave(), REPORT.wave()
    pause = np.zeros(16_000, np.float32)
    left = np.concatenate((first, pause, np.zeros_like(second)))
    right = np.concatenate((np.zeros_like(first), pause, second))
    file = written(tmp_path / "talk.wav", left, right)
    heard = transcribe_file(file, recognizer, SileroDetector()).text
    assert heard == f"{ANNA.heard['fp32']} {REPORT.heard['fp32']}"


def test_each_piece_has_a_channel_of_its_own(tmp_path: Path, recognizer: ParakeetRecognizer) -> None:
    """Tests two people far apart on eight channels, with a pause in which the recording is split."""
    first, second = (np.tile(sample.wave(), 6) * np.float32(0.05) for sample in (ANNA, REPORT))
    pause = noise(np.zeros(32_000, np.float32), -80)
    channels = [noise(np.concatenate((first, pause, second)), -80) for _ in range(8)]
    channels[1][: len(first)] += first
    channels[6][len(first) + len(pause) :] += second
    text = transcribe_file(written(tmp_path / "talk.wav", *channels), recognizer, SileroDetector()).text
    assert text.count("Anna") == 6
    assert text.count("report") == 6


@pytest.mark.parametrize("written_as", ["left", 1, "1"])
def test_a_channel_that_is_named_is_taken(tmp_path: Path, recognizer: ParakeetRecognizer, written_as: object) -> None:
    length = max(len(ANNA.wave()), len(REPORT.wave()))
    left, right = (np.pad(sample.wave(), (0, length - len(sample.wave()))) for sample in (ANNA, REPORT))
    file = written(tmp_path / "talk.wav", left, right)
    channel = parse(written_as)
    assert transcribe_file(file, recognizer, SileroDetector(), channel=channel).text == ANNA.heard["fp32"]
    other = transcribe_file(file, recognizer, SileroDetector(), channel=Channel("right")).text
    assert other == REPORT.heard["fp32"]


def test_the_mix_that_is_named_is_taken_whatever_comes_of_it(tmp_path: Path, recognizer: ParakeetRecognizer) -> None:
    file = written(tmp_path / "talk.wav", *channels_of("opposite phases", ANNA.wave()))
    assert transcribe_file(file, recognizer, SileroDetector(), channel=MIX).text == ""


def test_a_channel_that_the_file_lacks_is_refused_with_those_it_has(
    tmp_path: Path, recognizer: ParakeetRecognizer
) -> None:
    file = written(tmp_path / "talk.wav", ANNA.wave(), ANNA.wave())
    with pytest.raises(FileFault, match=r"talk\.wav has 2 channels, and channel is 5: set it to auto, mix or a number"):
        transcribe_file(file, recognizer, SileroDetector(), channel=Channel("5"))


def test_noise_on_many_channels_stays_without_text(tmp_path: Path, recognizer: ParakeetRecognizer) -> None:
    quiet = np.zeros(8 * SAMPLE_RATE, np.float32)
    file = written(tmp_path / "room.wav", noise(quiet, -50), bangs(quiet), noise(quiet, -30), noise(quiet, -70))
    assert transcribe_file(file, recognizer, SileroDetector(), channel=AUTO).text == ""


@pytest.mark.parametrize("gain", [2.0**15, 2.0**23, 2.0**31])
def test_a_file_of_whole_numbers_written_as_floats_is_heard(
    tmp_path: Path, recognizer: ParakeetRecognizer, gain: float
) -> None:
    file = written(tmp_path / "talk.wav", ANNA.wave() * np.float32(gain), subtype="FLOAT")
    assert transcribe_file(file, recognizer, SileroDetector()).text == ANNA.heard["fp32"]


@pytest.mark.parametrize("gain", [1e12, 1e30])
def test_a_file_of_huge_values_is_refused_before_it_meets_a_recognizer(
    tmp_path: Path, recognizer: ParakeetRecognizer, gain: float
) -> None:
    file = written(tmp_path / "talk.wav", ANNA.wave() * np.float32(gain), subtype="FLOAT")
    complaint = r"talk\.wav holds values of .* where full scale is 1, .* after 0\.0 s: export it again"
    with pytest.raises(FileFault, match=complaint):
        transcribe_file(file, recognizer, SileroDetector())


@pytest.mark.parametrize("gain", [3.0, 30.0])
def test_a_file_that_is_clipped_is_heard(tmp_path: Path, recognizer: ParakeetRecognizer, gain: float) -> None:
    clipped = np.clip(ANNA.wave() * np.float32(gain) + np.float32(0.5), -1, 1)
    file = written(tmp_path / "talk.wav", clipped, subtype="FLOAT")
    assert transcribe_file(file, recognizer, SileroDetector()).text == ANNA.heard["fp32"]
