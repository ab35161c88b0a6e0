"""Joined, truncated, damaged or mislabelled recordings are read to their real end, and missing audio is reported."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.parts import first_part
from coldvoxd.audio.streams import Content
from coldvoxd.core.errors import FileFault
from tests.support.sound.odd_audio import (
    RATE,
    Wave,
    ds64,
    encoded,
    ogg_pages,
    spoiled,
    wav,
    with_page,
    without_encoder_header,
    without_length,
)

KINDS = ["WAV", "FLAC", "OGG", "OPUS", "MP3", "AIFF", "W64", "AU", "RF64", "CAF"]
LIST = b"LIST\x07\x00\x00\x00INFOabc"
"""A chunk of odd size without its padding byte."""


def talk(seconds: float = 9.0, seed: int = 0) -> Wave:
    """Return noise of varying level, so that any two parts of it differ."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(len(noise)) / (0.7 * RATE))
    smooth = np.convolve(noise * swell, np.ones(8) / 8, mode="same")
    return smooth.astype(np.float32)


def heard(directory: Path, content: bytes) -> tuple[Wave, list[str]]:
    """Return the file's audio and the reports; checks that a second pass gives the same."""
    path = directory / "talk"
    path.write_bytes(content)
    file = AudioFile.open(path)
    passes: list[tuple[Wave, list[str]]] = []
    for _ in range(2):
        reports: list[str] = []
        passes.append((np.concatenate(list(file.blocks(reports.append))), reports))
    assert passes[0][1] == passes[1][1]
    np.testing.assert_array_equal(passes[0][0], passes[1][0])
    return passes[0]


def sound_of(directory: Path, content: bytes) -> Wave:
    """Return only the file's audio."""
    path = directory / "talk"
    path.write_bytes(content)
    return np.concatenate(list(AudioFile.open(path).blocks()))


def likeness(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_intact_file_nothing_is_reported_and_no_sample_lost(tmp_path: Path, kind: str) -> None:
    sound, reports = heard(tmp_path, encoded(talk(), kind))
    assert reports == []
    assert len(sound) == len(talk())
    assert likeness(sound, talk()) > 0.9


@pytest.mark.parametrize("kind", ["OGG", "OPUS", "MP3", "FLAC"])
def test_joined_files_are_read_to_the_end_of_the_last(tmp_path: Path, kind: str) -> None:
    parts = [talk(6, seed) for seed in range(3)]
    sound = sound_of(tmp_path, b"".join(encoded(part, kind) for part in parts))
    assert len(sound) == 3 * len(parts[0])
    assert likeness(sound, np.concatenate(parts)) > 0.9
    assert heard(tmp_path, b"".join(encoded(part, kind) for part in parts))[1] == []


@pytest.mark.parametrize("kind", ["OGG", "MP3"])
def test_joined_files_may_differ_in_rate_and_channels(tmp_path: Path, kind: str) -> None:
    rate = 32_000
    stereo = np.tile(0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * rate) / rate)[:, None], 2).astype(np.float32)
    sound = sound_of(tmp_path, encoded(talk(4), kind) + encoded(stereo, kind, rate) + encoded(talk(4, 1), kind))
    assert len(sound) == pytest.approx(12 * RATE, abs=RATE // 10)
    assert likeness(sound[8 * RATE :], talk(4, 1)) > 0.9


def test_joined_mp3_files_with_tags_between_them_are_whole(tmp_path: Path) -> None:
    tag, end = b"ID3\x04\x00\x00\x00\x00\x08\x00" + bytes(1024), b"TAG" + b"Talk".ljust(125, b"\0")
    content = b"".join(tag + encoded(talk(4, seed), "MP3") + end for seed in range(2))
    sound, reports = heard(tmp_path, content)
    assert len(sound) == 8 * RATE
    assert reports == []


def test_an_mp3_joined_behind_one_with_a_count_by_its_frames_alone_is_whole(tmp_path: Path) -> None:
    content = encoded(talk(4), "MP3") + without_encoder_header(encoded(talk(4, 1), "MP3"))
    sound, reports = heard(tmp_path, content)
    assert len(sound) == pytest.approx(8 * RATE, abs=RATE // 5)
    assert len(reports) == 1
    assert re.match(r"The file continues to 0:08\.\d, though its header says 0:04\.\d", reports[0])


def test_an_mp3_of_variable_bit_rate_without_a_count_is_read_to_its_end(tmp_path: Path) -> None:
    loud_then_quiet = np.concatenate((talk(2), 1e-4 * talk(20, 1)))
    content = encoded(loud_then_quiet, "MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    sound, reports = heard(tmp_path, without_encoder_header(content))
    assert len(sound) == pytest.approx(len(loud_then_quiet), abs=RATE // 5)
    assert reports == []


def test_an_mp3_whose_length_is_a_guess_is_not_too_long_by_that(tmp_path: Path) -> None:
    quiet_then_loud = np.concatenate((0 * talk(2), talk(2)))
    path = tmp_path / "talk.mp3"
    content = encoded(quiet_then_loud, "MP3", bitrate_mode="VARIABLE", compression_level=0.0)
    path.write_bytes(without_encoder_header(content))
    assert AudioFile.open(path).samples == 0


def test_a_flac_of_unknown_length_is_read(tmp_path: Path) -> None:
    sound = sound_of(tmp_path, without_length(encoded(talk(), "FLAC")))
    np.testing.assert_allclose(sound, talk(), atol=1e-4)
    assert heard(tmp_path, without_length(encoded(talk(), "FLAC")))[1] == []


@pytest.mark.parametrize("known", [True, False])
def test_of_a_flac_that_is_cut_off_all_of_its_first_part_is_read(tmp_path: Path, known: bool) -> None:
    content = encoded(talk(), "FLAC")
    content = (content if known else without_length(content))[: len(content) * 2 // 3]
    sound = sound_of(tmp_path, content)
    assert 5.5 * RATE < len(sound) < 6.2 * RATE
    np.testing.assert_allclose(sound, talk()[: len(sound)], atol=1e-4)
    (report,) = heard(tmp_path, content)[1]
    end = rf"0:0{len(sound) / RATE:.1f}"
    assert report.startswith(
        f"The file ends at {end}, though its header says 0:09.0" if known else "The file is truncated"
    )
    assert end in report


@pytest.mark.parametrize("known", [True, False])
def test_behind_damage_in_a_flac_the_rest_stands_at_its_time(tmp_path: Path, known: bool) -> None:
    content = bytearray(encoded(talk(), "FLAC") if known else without_length(encoded(talk(), "FLAC")))
    half = len(content) // 2
    content[half : half + 2000] = bytes(2000)
    sound = sound_of(tmp_path, bytes(content))
    assert len(sound) == len(talk())
    np.testing.assert_allclose(sound[: 4 * RATE], talk()[: 4 * RATE], atol=1e-4)
    np.testing.assert_allclose(sound[6 * RATE :], talk()[6 * RATE :], atol=1e-4)
    (report,) = heard(tmp_path, bytes(content))[1]
    assert re.match(r"The file is damaged from 0:04\.\d to about 0:0[45]\.\d: the audio in between is missing", report)


@pytest.mark.parametrize(
    ("make", "report"),
    [
        (lambda wave: wav(wave, riff_size=36, data_size=0), None),
        (lambda wave: wav(wave, riff_size=0, data_size=0), None),
        (lambda wave: wav(wave, riff_size=-1, data_size=0), None),
        (lambda wave: wav(wave, riff_size=-1, data_size=-1), None),
        (lambda wave: wav(wave, riff_size=0, data_size=-1), None),
        (lambda wave: wav(wave, riff_size=0x7FFF_FFFF, data_size=0x7FFF_FFFF - 36), None),
        (lambda wave: wav(wave, riff_size=36, data_size=0, after=LIST), None),
        (lambda wave: wav(wave, data_size=4 * len(wave)), r"ends at 0:09\.0, though its header says 0:18\.0"),
        (lambda wave: wav(wave, data_size=len(wave)), r"continues to 0:09\.0, though its header says 0:04\.5"),
        (lambda wave: wav(wave, before=LIST), None),
        (lambda wave: wav(wave, before=LIST + b"\0"), None),
        (lambda wave: wav(wave, after=LIST), None),
        (lambda wave: wav(wave, before=b"LIST\0\0\0\0"), None),
        (lambda wave: wav(wave, before=b"JUNK\x05\0\0\0abcde" + LIST), None),
        (lambda wave: wav(wave, form=b"RF64", riff_size=-1, data_size=-1, before=ds64(0)), None),
        (lambda wave: wav(wave, form=b"RF64", riff_size=-1, data_size=-1, before=ds64(-1)), None),
        (lambda wave: wav(wave, form=b"RF64", riff_size=-1, data_size=-1, before=ds64(2 * len(wave))), None),
        (lambda wave: wav(wave, form=b"BW64", riff_size=-1, data_size=-1, before=ds64(2 * len(wave))), None),
        (lambda wave: wav(wave, form=b"RF64", riff_size=-1, data_size=-1, before=ds64(4 * len(wave))), "ends at"),
    ],
)
def test_the_sound_of_a_wav_is_found_whatever_its_header_says(
    tmp_path: Path, make: Callable[[Wave], bytes], report: str | None
) -> None:
    sound, reports = heard(tmp_path, make(talk()))
    assert len(sound) == pytest.approx(len(talk()), abs=16)
    np.testing.assert_allclose(sound[: len(talk())], talk(), atol=1e-4)
    assert len(reports) == (report is not None)
    assert report is None or re.search(report, reports[0])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_an_unfinished_wav_of_any_coding_is_read(tmp_path: Path, subtype: str) -> None:
    content = bytearray(encoded(talk(), "WAV", subtype=subtype))
    size = content.index(b"data") + 4
    content[size : size + 4] = bytes(4)
    sound = sound_of(tmp_path, bytes(content))
    assert len(sound) == pytest.approx(len(talk()), abs=RATE // 5)
    assert likeness(sound, talk()) > 0.9


def test_a_wav_with_a_wrong_byte_rate_is_as_long_as_it_is(tmp_path: Path) -> None:
    content = bytearray(encoded(talk(), "WAV", subtype="IMA_ADPCM"))
    rate = content.index(b"fmt ") + 16
    content[rate : rate + 4] = (1000).to_bytes(4, "little")
    sound, reports = heard(tmp_path, bytes(content))
    assert len(sound) == pytest.approx(len(talk()), abs=RATE // 5)
    assert reports == []


@pytest.mark.parametrize("kind", ["OGG", "OPUS"])
@pytest.mark.parametrize(
    "change", [spoiled, lambda page: page[:0], lambda page: page[:500]], ids=["spoiled", "lost", "cut"]
)
def test_a_damaged_page_costs_its_own_sound_alone_and_is_reported(
    tmp_path: Path, kind: str, change: Callable[[bytes], bytes]
) -> None:
    whole = encoded(talk(20), kind)
    content = with_page(whole, len(list(ogg_pages(whole))) // 2, change)
    sound, reports = heard(tmp_path, content)
    assert len(sound) == pytest.approx(20 * RATE, abs=RATE)
    assert likeness(sound[: 8 * RATE], talk(20)) > 0.9
    last = talk(20)[-RATE:]
    place = int(np.argmax(np.correlate(sound[-3 * RATE :], last, "valid"))) - 2 * RATE
    assert abs(place) < RATE // 2
    (report,) = reports
    found = re.match(r"The file is damaged from 0:(\d\d\.\d) to about 0:(\d\d\.\d):", report)
    assert found
    assert 7 < float(found[1]) < float(found[2]) < 14


def test_a_damaged_link_of_a_chain_leaves_the_others(tmp_path: Path) -> None:
    middle = with_page(encoded(talk(6, 1), "OGG"), 1, spoiled)
    sound, reports = heard(tmp_path, encoded(talk(6), "OGG") + middle + encoded(talk(6, 2), "OGG"))
    assert likeness(sound, talk(6)) > 0.9
    assert likeness(sound[-6 * RATE :], talk(6, 2)) > 0.9
    assert any("0:06.0" in report for report in reports)


@pytest.mark.parametrize("kind", ["WAV", "OGG", "OPUS", "MP3", "AIFF", "W64", "AU"])
def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes_and_reported(tmp_path: Path, kind: str) -> None:
    content = encoded(talk(), kind)
    sound, reports = heard(tmp_path, content[: len(content) * 2 // 3])
    assert 4.5 * RATE < len(sound) < 6.5 * RATE
    assert likeness(sound, talk()) > 0.9
    (report,) = reports
    assert f"0:0{len(sound) / RATE:.1f}" in report
    assert report.startswith("The file is truncated" if kind in {"OGG", "OPUS"} else "The file ends")


def test_an_mp3_goes_on_behind_damage(tmp_path: Path) -> None:
    content = bytearray(encoded(talk(), "MP3"))
    half = len(content) // 2
    content[half : half + 2000] = bytes(2000)
    sound, reports = heard(tmp_path, bytes(content))
    assert len(sound) == pytest.approx(len(talk()), abs=RATE // 5)
    assert len(reports) == 1
    assert "damaged from 0:04." in reports[0]


def test_a_chunk_that_ends_behind_all_offsets_is_the_last(tmp_path: Path) -> None:
    content = bytearray(encoded(talk(1), "W64"))
    content[56:64] = b"\xff" * 8  # the size of its first chunk
    (tmp_path / "talk").write_bytes(content)
    with (tmp_path / "talk").open("rb") as file:
        assert first_part(Content(file.fileno())).region is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_damage_whatever_ends_otherwise_than_in_sound_or_in_a_sentence(tmp_path: Path, kind: str, seed: int) -> None:
    chance = np.random.default_rng(seed)
    content = bytearray(encoded(talk(6), kind))
    for _ in range(4):
        at = int(chance.integers(len(content)))
        size = int(chance.integers(1, 400))
        content[at : at + size] = chance.bytes(int(chance.integers(0, 500)))
    with suppress(FileFault):
        sound, _ = heard(tmp_path, bytes(content))
        assert len(sound) < 700 * RATE
