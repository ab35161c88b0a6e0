"""A table of containers and of files that are cut off or joined, with anything before, between or after the audio.

Each cell yields all of the audio in the file, or as much as can be decoded and a warning with the time, or an error with
a remedy.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.streams import clock
from coldvoxd.core.errors import FileFault
from tests.support.sound.odd_audio import RATE, Wave, encoded, ogg_pages, wav

KINDS = ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "OPUS", "MP3"]
WITH_HEADER = ["WAV", "RF64", "W64", "AIFF", "AU", "CAF"]
LOSSLESS = {*WITH_HEADER, "FLAC"}
SECONDS = 3.0
JUNK = np.random.default_rng(3).bytes(100)
ID3V1 = b"TAG" + b"Talk".ljust(125, b"\0")
ID3V2 = b"ID3\x04\0\0\0\0\x08\0" + bytes(1024)
APE_ITEM = struct.pack("<II", 4, 0) + b"Title\0Talk"
APEV2 = b"".join(
    b"APETAGEX" + struct.pack("<IIII", 2000, 32 + len(APE_ITEM), 1, flags) + bytes(8) + rest
    for flags, rest in ((0xA000_0000, APE_ITEM), (0x8000_0000, b""))
)
LYRICS = b"LYRICSBEGIN" + b"IND00002" + b"10" + b"000020" + b"LYRICS200" + ID3V1
PICTURE = b"ID3\x04\0\0" + bytes(3_000_000 >> shift & 127 for shift in (21, 14, 7, 0))
PICTURE += np.random.default_rng(9).bytes(3_000_000)


def talk(seed: int = 0, seconds: float = SECONDS) -> Wave:
    """Return noise of varying level, so that any two parts of it differ."""
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(len(noise)) / (0.7 * RATE))
    return np.convolve(noise * swell, np.ones(8) / 8, mode="same").astype(np.float32)


@lru_cache(maxsize=64)
def file_of(kind: str, seed: int = 0) -> bytes:
    """Return a recording of `talk(seed)` in the container."""
    return encoded(talk(seed), kind)


@lru_cache(maxsize=16)
def stereo(kind: str) -> bytes:
    """Return a two-channel tone of 3 s at another rate."""
    rate = 48_000 if kind == "OPUS" else 32_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate)
    return encoded(np.tile(tone[:, None], 2).astype(np.float32), kind, rate)


@lru_cache(maxsize=16)
def empty(kind: str) -> bytes:
    """Return a file without samples."""
    return encoded(np.zeros(0, np.float32), kind)


@dataclass(frozen=True, slots=True)
class Row:
    """A modification of a file."""

    name: str
    make: Callable[[str], bytes]
    """Makes the content for a container."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the recordings in the file, in order."""
    warning: str = ""
    """Pattern of the single report; empty if nothing is reported."""
    others: tuple[tuple[str, str], ...] = ()
    """Containers with a different report, and that report."""


FOREIGN = r"At 0:0{} the file holds 100 bytes that are neither audio nor a tag: they were skipped\."
BEGINNING = "The beginning of the file is damaged or missing: words may be missing there"
ROWS = (
    Row("intact", file_of),
    Row("junk in front", lambda kind: JUNK + file_of(kind), warning=FOREIGN.format(r"0\.0"), others=(("MP3", BEGINNING),)),
    Row("zeros in front", lambda kind: bytes(1000) + file_of(kind)),
    Row("ID3v2 in front", lambda kind: ID3V2 + file_of(kind)),
    Row("a picture in front", lambda kind: PICTURE + file_of(kind)),
    Row("junk behind", lambda kind: file_of(kind) + JUNK, warning=FOREIGN.format(r"3\.0"), others=(("FLAC", ""),)),
    Row("a few letters behind", lambda kind: file_of(kind) + b"RIFF", warning="4 bytes", others=(("FLAC", ""),)),
    Row("a broken chunk behind", lambda kind: file_of(kind) + b"data" + JUNK[:96], warning="100 bytes", others=(("FLAC", ""),)),
    Row("a broken header behind", lambda kind: file_of(kind) + b"RIFFxxxxWAVE" + JUNK[:88], warning="100 b"),
    Row("zeros behind", lambda kind: file_of(kind) + bytes(100)),
    Row("many zeros behind", lambda kind: file_of(kind) + bytes(100_001)),
    Row("ID3v1 behind", lambda kind: file_of(kind) + ID3V1),
    Row("ID3v2 behind", lambda kind: file_of(kind) + ID3V2),
    Row("APEv2 behind", lambda kind: file_of(kind) + APEV2),
    Row("Lyrics3 behind", lambda kind: file_of(kind) + LYRICS),
    Row("all tags around", lambda kind: ID3V2 + file_of(kind) + APEV2 + ID3V1),
    Row("joined", lambda kind: file_of(kind) + file_of(kind, 1) + file_of(kind, 2), (0, 1, 2)),
    Row("joined with tags", lambda kind: (ID3V2 + file_of(kind) + ID3V1) * 2, (0, 0)),
    Row("joined with zeros", lambda kind: file_of(kind) + bytes(513) + file_of(kind, 1), (0, 1)),
    Row("joined with an empty one", lambda kind: file_of(kind) + empty(kind) + file_of(kind, 1), (0, 1), others=(("OPUS", "is truncated at 0:03"),)),
    Row("joined to an empty one", lambda kind: empty(kind) + file_of(kind, 1), (1,), others=(("OPUS", "is truncated at 0:00"),)),
    Row(
        "joined with junk",
        lambda kind: file_of(kind) + JUNK + file_of(kind, 1),
        (0, 1),
        FOREIGN.format(r"3\.0"),
        (("FLAC", ""), ("OGG", r"damaged at 0:03\.0"), ("OPUS", r"damaged at 0:03\.0")),
    ),
)  # fmt: skip


def heard(directory: Path, content: bytes) -> tuple[Wave, list[str]]:
    """Return the file's audio and the reports."""
    path = directory / "talk"
    path.write_bytes(content)
    reports: list[str] = []
    return np.concatenate(list(AudioFile.open(path).blocks(reports.append))), reports


def check_sound(kind: str, sound: Wave, wanted: Wave) -> None:
    if kind in LOSSLESS:
        np.testing.assert_allclose(sound, wanted, atol=1e-4)
        return
    assert len(sound) == pytest.approx(len(wanted), abs=RATE // 20)
    for begin in range(0, len(wanted), round(SECONDS * RATE)):
        assert likeness(sound[begin:], wanted[begin : begin + round(SECONDS * RATE)]) > 0.8


def likeness(sound: Wave, wanted: Wave) -> float:
    """Return the maximum correlation within 40 ms, the length of two MP3 frames at 16 kHz."""
    middle = wanted[RATE // 2 : -RATE // 2]
    found = np.correlate(sound[RATE // 2 - 640 : len(wanted) - RATE // 2 + 640], middle, "valid")
    at = RATE // 2 - 640 + int(np.argmax(found))
    return float(np.corrcoef(sound[at : at + len(middle)], middle)[0, 1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_all_of_the_sound_is_read_whatever_stands_around_it(tmp_path: Path, row: Row, kind: str) -> None:
    sound, reports = heard(tmp_path, row.make(kind))
    check_sound(kind, sound, np.concatenate([talk(seed) for seed in row.seeds]))
    warning = dict(row.others).get(kind, row.warning)
    assert len(reports) == bool(warning), reports
    assert not warning or re.search(warning, reports[0]), reports


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_file_between_two_of_any_other_kind_is_read_and_so_are_they(tmp_path: Path, first: str, second: str) -> None:
    sound, reports = heard(tmp_path, file_of(first) + file_of(second, 1) + file_of(first, 2))
    third = round(SECONDS * RATE)
    check_sound(first, sound[:third], talk())
    check_sound(second, sound[third : 2 * third], talk(1))
    check_sound(first, sound[2 * third :], talk(2))
    assert len(sound) == 3 * third
    assert reports == []


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_of_joined_files_has_its_own_rate_and_channels(tmp_path: Path, kind: str) -> None:
    sound, reports = heard(tmp_path, file_of(kind) + stereo(kind) + file_of(kind, 1))
    third = round(SECONDS * RATE)
    assert len(sound) == pytest.approx(3 * third, abs=RATE // 20)
    check_sound(kind, sound[:third], talk())
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(third) / RATE).astype(np.float32)
    assert likeness(sound[third:], tone) > 0.95
    check_sound(kind, sound[len(sound) - third :], talk(1))
    assert reports == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("second", ["", "the same kind", "WAV"])
def test_a_file_that_is_cut_off_is_read_so_far_with_the_time_and_what_is_joined_to_it_too(
    tmp_path: Path, kind: str, second: str
) -> None:
    whole, joined = encoded(talk(0, 9), kind), kind if second == "the same kind" else second
    content = whole[: len(whole) * 2 // 3] + (file_of(joined, 1) if joined else b"")
    sound, reports = heard(tmp_path, content)
    behind = round(SECONDS * RATE) if joined else 0
    if joined:
        check_sound(joined, sound[len(sound) - behind :], talk(1))
    read = len(sound) - behind
    assert 4.5 * RATE < read < 6.5 * RATE
    if kind in LOSSLESS:
        np.testing.assert_allclose(sound[:read], talk(0, 9)[:read], atol=1e-4)
    assert len(reports) == 1, reports
    assert re.match(rf"The file (ends|is truncated) at {re.escape(clock(read / RATE))}", reports[0]), reports


@pytest.mark.parametrize("cut", [10, 600, 3000])
@pytest.mark.parametrize("kind", [*WITH_HEADER, "OGG", "OPUS"])
def test_a_file_without_its_beginning_is_refused_with_what_to_do_where_that_has_the_rate(
    tmp_path: Path, kind: str, cut: int
) -> None:
    content = file_of(kind)
    lost = "lacks its beginning, .*: copy it again from the original"
    with pytest.raises(FileFault, match=lost if kind in {"OGG", "OPUS"} else "is not audio .*: convert it"):
        heard(tmp_path, content[min(cut, len(content) // 3) :])


@pytest.mark.parametrize("cut", [1500, 3000, 5001, 7777])
def test_an_mp3_without_its_beginning_is_read_from_its_first_whole_frame_on(tmp_path: Path, cut: int) -> None:
    content = file_of("MP3")
    sound, reports = heard(tmp_path, content[cut:])
    assert len(sound) > SECONDS * RATE * (1 - cut / len(content)) - RATE // 5
    ending = talk()[-RATE:]
    place = int(np.argmax(np.correlate(sound, ending, "valid")))
    assert np.corrcoef(sound[place : place + RATE], ending)[0, 1] > 0.8
    assert len(reports) == 1
    assert reports[0].startswith(BEGINNING)


@pytest.mark.parametrize("cut", [60, 3000, 12_345])
def test_a_flac_without_its_beginning_has_the_rest_at_its_time(tmp_path: Path, cut: int) -> None:
    sound, reports = heard(tmp_path, file_of("FLAC")[cut:])
    assert len(sound) == SECONDS * RATE
    begin = int(np.flatnonzero(sound)[0])
    np.testing.assert_allclose(sound[begin:], talk()[begin:], atol=1e-4)
    assert begin < RATE
    assert len(reports) == (begin > 10)
    assert not reports or re.match(r"The file is damaged from 0:00\.0 to about 0:0\d\.\d", reports[0])


@pytest.mark.parametrize("container", [b"\0\0\0\x20ftypisom", b"\x1aE\xdf\xa3", b"RIFF\0\0\1\0AVI LIST"])
def test_pieces_of_mp3_within_a_film_are_no_recording(tmp_path: Path, container: bytes) -> None:
    with pytest.raises(
        FileFault, match=r"is an? .* container, which is not read: convert it, for instance with `ffmpeg"
    ):
        heard(tmp_path, container + bytes(100) + JUNK + file_of("MP3"))


def test_what_is_joined_to_a_format_that_only_the_decoder_knows_is_read(tmp_path: Path) -> None:
    first = encoded(talk(), "CAF", subtype="ALAC_16")
    sound, reports = heard(tmp_path, first + file_of("WAV", 1))
    np.testing.assert_allclose(sound, np.concatenate((talk(), talk(1))), atol=1e-4)
    assert reports == []


def sizes_of(kind: str, size: int | None) -> bytes:
    """Return a file whose header gives `size` as the size of its audio; the maximum if it is None."""
    content = bytearray(file_of(kind))
    at, form, head = {
        "WAV": (content.find(b"data") + 4, "<I", 0),
        "AIFF": (content.find(b"SSND") + 4, ">I", 8),
        "AU": (8, ">I", 0),
        "W64": (content.find(b"data") + 16, "<Q", 24),
        "CAF": (content.find(b"data") + 4, ">Q", 4),
    }[kind]
    width = struct.calcsize(form)
    content[at : at + width] = b"\xff" * width if size is None else struct.pack(form, size + head)
    return bytes(content)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "CAF"])
@pytest.mark.parametrize(
    ("share", "warning"),
    [
        (None, ""),
        (0.0, ""),
        (0.5, r"continues to 0:03\.0, though its header says 0:01\.5: all of it was read"),
        (2.0, r"ends at 0:03\.0, though its header says 0:06\.0"),
    ],
    ids=["unknown", "zero", "half", "double"],
)
@pytest.mark.parametrize("joined", [False, True])
def test_the_sound_is_read_whatever_size_the_header_gives(
    tmp_path: Path, kind: str, share: float | None, warning: str, joined: bool
) -> None:
    size = None if share is None else round(2 * SECONDS * RATE * share)
    content = sizes_of(kind, size) + (sizes_of(kind, size) if joined else b"")
    sound, reports = heard(tmp_path, content)
    np.testing.assert_allclose(sound, np.concatenate([talk()] * (1 + joined)), atol=1e-4)
    assert len(reports) == bool(warning) * (1 + joined), reports
    assert not warning or re.search(warning, reports[0]), reports


@pytest.mark.parametrize("other", ["MP3", "FLAC", "OGG", "AIFF"])
def test_what_is_joined_to_a_recording_without_a_size_is_not_taken_for_its_sound(tmp_path: Path, other: str) -> None:
    sound, reports = heard(tmp_path, wav(talk(), riff_size=-1, data_size=-1) + file_of(other, 1))
    half = round(SECONDS * RATE)
    np.testing.assert_allclose(sound[:half], talk(), atol=1e-4)
    check_sound(other, sound[half:], talk(1))
    assert reports == []


@pytest.mark.parametrize("subtype", ["ULAW", "PCM_24", "FLOAT", "DOUBLE", "IMA_ADPCM", "GSM610", "ALAW"])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64"])
def test_joined_files_of_any_coding_are_read(tmp_path: Path, kind: str, subtype: str) -> None:
    if not soundfile.check_format(kind, subtype):
        return
    one, other = (encoded(talk(seed), kind, subtype=subtype) for seed in (0, 1))
    sound, _ = heard(tmp_path, one + other)
    assert len(sound) == pytest.approx(2 * SECONDS * RATE, abs=RATE // 8)
    assert likeness(sound, talk()) > 0.8
    assert likeness(sound[len(sound) // 2 :], talk(1)) > 0.8


@pytest.mark.parametrize("rate", [0, 1, 999, 800_000, 0xFFFF_FFFF])
@pytest.mark.parametrize("kind", ["WAV", "W64", "AU"])
def test_a_rate_that_no_recording_has_is_named(tmp_path: Path, kind: str, rate: int) -> None:
    content = bytearray(file_of(kind))
    at = 16 if kind == "AU" else content.find(b"fmt ") + (28 if kind == "W64" else 12)
    content[at : at + 4] = struct.pack(">I" if kind == "AU" else "<I", rate)
    with pytest.raises(FileFault, match=f"says it has 1 channels? at {rate} Hz; .*: convert it"):
        heard(tmp_path, bytes(content))


@pytest.mark.parametrize("channels", [0, 33, 65_535])
def test_a_number_of_channels_that_no_recording_has_is_named(tmp_path: Path, channels: int) -> None:
    content = bytearray(file_of("WAV"))
    content[22:24] = struct.pack("<H", channels)
    with pytest.raises(FileFault, match=f"says it has {channels} channels at 16000 Hz"):
        heard(tmp_path, bytes(content))


def test_an_ogg_that_begins_in_the_middle_and_has_another_one_behind_is_read_from_there(tmp_path: Path) -> None:
    pages = list(ogg_pages(file_of("OGG")))
    sound, reports = heard(tmp_path, b"".join(pages[2:])[-9000:] + file_of("OGG", 1))
    check_sound("OGG", sound, talk(1))
    assert len(reports) == 1
    assert "At 0:00.0 the file holds 9000 bytes that are neither audio nor a tag" in reports[0]


@pytest.mark.parametrize("kind", ["OGG", "OPUS"])
def test_junk_between_all_pages_of_an_ogg_costs_no_time_and_is_reported(tmp_path: Path, kind: str) -> None:
    pages = list(ogg_pages(file_of(kind)))
    sound, reports = heard(tmp_path, JUNK.join(pages))
    assert len(sound) == pytest.approx(SECONDS * RATE, abs=RATE // 10)
    assert 1 <= len(reports) < len(pages)
    assert all(re.match(r"The file is damaged (at|from) 0:0\d\.\d", report) for report in reports)
