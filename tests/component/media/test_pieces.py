"""Long recordings become pieces in sealed memory files: in their pauses, with nothing lost, and one at a time."""

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.media.pieces import MOST_BYTES, Limits, pieces
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import samples

Sound = npt.NDArray[np.int16]
SMALL = Limits(most_s=20, search_s=8, overlap_s=1)


def read(descriptor: int) -> Sound:
    content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    sound, rate = soundfile.read(io.BytesIO(content), dtype="int16", always_2d=True)
    assert rate == 16_000
    return np.asarray(sound)


def blocks(sound: Sound, size: int = 7_001) -> Iterator[Sound]:
    for begin in range(0, len(sound), size):
        yield sound[begin : begin + size]


def cut(sound: Sound, limits: Limits = SMALL, channel: Channel = AUTO) -> list[tuple[float, float, Sound]]:
    running = pieces(blocks(sound), SileroDetector, channel, limits)
    return [(piece.start_s, piece.end_s, read(piece.descriptor)) for piece in running]


def as_int16(wave: npt.NDArray[np.float32]) -> Sound:
    return np.rint(wave * 32767).astype(np.int16)


@pytest.fixture(scope="module")
def talk() -> Sound:
    silence = np.zeros(12_000, np.float32)
    return as_int16(np.concatenate([part for sample in samples() for part in (sample.wave(), silence)]))[:, None]


def is_spoken(sound: Sound) -> bool:
    return bool(np.abs(sound.astype(np.int32)).max(initial=0) > 300)


def test_a_recording_that_fits_is_one_piece(talk: Sound) -> None:
    ((start_s, end_s, sound),) = cut(talk[: 16_000 * 19])
    assert (start_s, end_s) == (0, 19)
    assert np.array_equal(sound, talk[: 16_000 * 19])


def test_no_audio_is_no_piece() -> None:
    assert cut(np.zeros((0, 1), np.int16)) == []


def test_a_long_recording_is_cut_in_pauses_and_every_sample_is_in_one_piece(talk: Sound) -> None:
    found = cut(talk)
    assert len(found) > 3
    assert np.array_equal(np.concatenate([sound for *_, sound in found]), talk)
    at_s = 0.0
    for start_s, end_s, sound in found:
        assert start_s == at_s
        assert end_s == pytest.approx(at_s + len(sound) / 16_000)
        assert len(sound) <= 20 * 16_000
        at_s = end_s
    for *_, sound in found[:-1]:
        assert not is_spoken(sound[-1600:])


def test_without_a_pause_pieces_overlap(talk: Sound) -> None:
    dense = np.concatenate([part for part in np.array_split(talk, len(talk) // 320) if is_spoken(part)])
    voice = np.tile(dense, (3, 1))
    found = cut(voice)
    for (_, end_s, before), (start_s, _, after) in pairwise(found):
        overlap = round((end_s - start_s) * 16_000)
        assert overlap >= 0
        assert np.array_equal(before[len(before) - overlap :], after[:overlap])
    assert any(start_s < end_s for (_, end_s, _), (start_s, _, _) in pairwise(found))
    whole = np.zeros_like(voice)
    for start_s, end_s, sound in found:
        whole[round(start_s * 16_000) : round(end_s * 16_000)] = sound
    assert np.array_equal(whole, voice)


def test_the_pauses_are_those_of_the_channel_that_is_chosen(talk: Sound) -> None:
    shifted = np.roll(talk, 16_000 * 2)
    both = np.concatenate([talk, shifted], axis=1)
    for number in (1, 2):
        found = cut(both, channel=Channel(str(number)))
        assert np.array_equal(np.concatenate([sound for *_, sound in found]), both)
        for *_, sound in found[:-1]:
            assert not is_spoken(sound[-1600:, number - 1])


def memories() -> int:
    """Return how many memory files of pieces this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this directory
            found += "memfd:recording" in str(entry.readlink())
    return found


def test_a_piece_cannot_be_changed_and_is_the_only_one_in_memory(talk: Sound) -> None:
    before = memories()
    for piece in pieces(blocks(talk), SileroDetector, limits=SMALL):
        assert memories() == before + 1
        assert fcntl.fcntl(piece.descriptor, fcntl.F_GET_SEALS) == (
            fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        )
        with pytest.raises(PermissionError):
            os.pwrite(piece.descriptor, b"\0", 0)
    assert memories() == before


def test_a_piece_of_many_channels_is_limited_in_bytes() -> None:
    assert Limits().samples(1) == 1800 * 16_000
    assert 44 + 2 * 32 * Limits().samples(32) <= MOST_BYTES
    assert Limits().samples(32) > 240 * 16_000


def test_a_reader_that_stops_leaves_nothing_open(talk: Sound) -> None:
    before = memories()
    running = pieces(blocks(talk), SileroDetector, limits=SMALL)
    next(running)
    assert memories() == before + 1
    running.close()
    assert memories() == before
