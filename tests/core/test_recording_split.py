"""Recordings are split in their pauses, and no speech is lost."""

from itertools import pairwise

import numpy as np
import pytest

from coldvoxd.files.recording_split import MAX_FRAMES, OVERLAP_FRAMES, PAD_FRAMES, Span, cut


def spans(pattern: str, *, quiet: int | None = None, shortest_pause_frames: int = 1) -> list[Span]:
    """Return the spans of a pattern: `#` is a frame of speech, `.` one without; `quiet` is the quietest."""
    level_db = np.full(len(pattern), -20, dtype=np.float32)
    if quiet is not None:
        level_db[quiet] = -40
    speech = np.array([frame == "#" for frame in pattern], dtype=bool)
    return cut(
        speech,
        level_db,
        max_frames=10,
        pad_frames=2,
        overlap_frames=2,
        shortest_pause_frames=shortest_pause_frames,
    )


def test_where_there_is_no_speech_there_are_no_pieces() -> None:
    assert spans("") == []
    assert spans("............") == []


def test_a_piece_keeps_its_padding() -> None:
    assert spans("....##....") == [(2, 8)]


def test_padding_ends_where_the_recording_does() -> None:
    assert spans(".##.") == [(0, 4)]


def test_what_fits_in_one_piece_is_one() -> None:
    assert spans("...#....#...") == [(1, 11)]


def test_a_long_recording_is_cut_in_the_middle_of_its_longest_pause() -> None:
    assert spans("#####.#...######") == [(0, 8), (8, 16)]


def test_a_long_pause_is_left_out() -> None:
    assert spans("######" + "." * 30 + "####") == [(0, 8), (34, 40)]


def test_a_pause_early_in_the_piece_does_not_make_it_short() -> None:
    assert spans("#...###.########") == [(0, 7), (7, 16)]


def test_speech_without_a_pause_is_cut_at_its_quietest_frame_where_its_pieces_overlap() -> None:
    assert spans("#" * 14, quiet=6) == [(0, 8), (4, 14)]


def test_a_pause_within_a_word_is_none() -> None:
    assert spans("#####..#########", quiet=7, shortest_pause_frames=2) == [(0, 6), (6, 16)]
    assert spans("#####..#########", quiet=7, shortest_pause_frames=3) == [(0, 9), (5, 12), (8, 16)]


def test_only_padding_that_does_not_fit_is_left_out() -> None:
    assert spans("#########....") == [(0, 10)]
    assert spans("..#......#....") == [(0, 10)]


@pytest.mark.parametrize("seed", range(20))
def test_no_speech_is_lost_and_only_overlaps_are_taken_twice_and_no_piece_is_too_long(seed: int) -> None:
    generator = np.random.default_rng(seed)
    speech = np.repeat(generator.random(400) < generator.random(), generator.integers(1, 40, 400))
    level_db = generator.normal(-30, 10, len(speech)).astype(np.float32)
    covered = np.zeros(len(speech), dtype=int)
    pieces = cut(speech, level_db)
    for begin, end in pieces:
        assert 0 < end - begin <= MAX_FRAMES
        covered[begin:end] += 1
    assert covered[speech].all()
    assert covered.max(initial=0) <= 2
    for (_, end), (begin, _) in pairwise(pieces):
        assert begin >= end or end - begin == 2 * OVERLAP_FRAMES


def test_a_piece_is_at_most_20_s_with_half_a_second_around() -> None:
    assert MAX_FRAMES * 512 == 20 * 16_000
    assert 8000 <= PAD_FRAMES * 512 < 8512
