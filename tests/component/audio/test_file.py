"""Every kind of audio file is read as 16 kHz mono; unreadable files are rejected with a remedy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.errors import FileFault


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> npt.NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def read(path: Path) -> npt.NDArray[np.float32]:
    return np.concatenate(list(AudioFile.open(path).blocks()))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS")])
def test_any_rate_and_channel_count_becomes_16_khz_mono(
    tmp_path: Path, rate: int, channels: int, suffix: str, subtype: str
) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.tile(tone(rate)[:, None], channels), rate, subtype=subtype)
    sound = read(path)
    assert sound.dtype == np.float32
    assert len(sound) == pytest.approx(16_000, abs=100)
    middle = slice(4_000, 12_000)
    assert np.corrcoef(sound[middle], tone(16_000)[middle])[0, 1] > 0.99
    assert np.abs(sound[middle]).max() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
def test_every_coding_of_wav_is_read(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(16_000), 16_000, subtype=subtype)
    np.testing.assert_allclose(read(path), tone(16_000), atol=0.03)


def test_opus_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tone.opus"
    soundfile.write(path, tone(48_000), 48_000, format="OGG", subtype="OPUS")
    assert len(read(path)) == pytest.approx(16_000, abs=200)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "left.wav"
    left = tone(16_000)
    soundfile.write(path, np.stack((left, np.zeros_like(left)), axis=1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read(path), left / 2, atol=1e-6)


def test_a_long_file_comes_in_blocks_and_may_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, tone(8_000, seconds=17), 8_000)
    file = AudioFile.open(path)
    lengths = [len(block) for block in file.blocks()]
    assert max(lengths) <= 6 * 16_000
    assert sum(lengths) == pytest.approx(file.samples, abs=2)
    assert sum(len(block) for block in file.blocks()) == sum(lengths)


def test_a_wav_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(path, tone(16_000), 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 16_000])
    assert len(read(path)) == 8_000


def nothing(_: Path) -> None:
    pass


def garbage(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def text(path: Path) -> None:
    path.write_text("Dear diary\n" * 100)


def not_a_number(path: Path) -> None:
    wave = tone(16_000)
    wave[9_000] = np.nan
    soundfile.write(path, wave, 16_000, subtype="FLOAT")


def without_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (nothing, "there is no file .*: check the name"),
        (Path.mkdir, "is a directory: give the names of the audio files in it"),
        (Path.touch, "is empty: record it again"),
        (garbage, "is not audio in a readable format .*: convert it"),
        (text, "is not audio in a readable format .*: convert it"),
        (not_a_number, r"holds NaN or infinite values after 0\.0 s: convert it"),
        (without_samples, "has no audio"),
    ],
)
def test_what_is_not_audio_is_refused_with_a_remedy(
    tmp_path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    path = tmp_path / "speech.wav"
    make(path)
    with pytest.raises(FileFault, match=f"{path} .*{complaint}|{complaint}"):
        read(path)


def test_a_file_without_a_head_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speech.raw"
    path.write_bytes(bytes(1000))
    with pytest.raises(FileFault, match="is not audio in a readable format"):
        read(path)


def test_damage_inside_a_flac_is_told_or_read_over(tmp_path: Path) -> None:
    """Data that libsndfile cannot decode must not raise any other kind of exception."""
    path = tmp_path / "damaged.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 160_000), 16_000)
    content = bytearray(path.read_bytes())
    content[60_000:62_000] = bytes(2000)
    path.write_bytes(content)
    try:
        sound = read(path)
    except FileFault as fault:
        sound = np.zeros(0, dtype=np.float32)
        complaint = str(fault)
    else:
        complaint = ""
    assert len(sound) > 0 or "damaged" in complaint
