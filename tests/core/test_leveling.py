"""The gain before the voice activity model: quiet speech raises it, and other sounds do not change it."""

import numpy as np
import pytest

from coldvoxd.core.leveling import (
    HOLD_FRAMES,
    KNOWN_FRAMES,
    MAX_GAIN_DB,
    MIN_GAIN_DB,
    PEAK_LIMIT,
    RAMP_DB,
    START_GAIN_DB,
    Leveler,
)
from coldvoxd.dictation.quiet_speech import LONG_FRAMES, QuietSpeech

HOUR_FRAMES = 3600 * 16_000 // 512
QUIET_DB, LOUD_DB, NOISE_DB = -76.0, -30.0, -50.0
"""Levels of speech with peaks of about -51 and -5 dBFS, and of noise between the two."""


def speak(leveler: Leveler, level_db: float, frames: int = 100) -> float:
    """Pass frames of speech, with syllables 6 dB around the level; return the gain after them."""
    for number in range(frames):
        leveler.heard(0.95, level_db + (-6, 0, 6)[number % 3])
    return leveler.gain_db


def rustle(leveler: Leveler, frames: int, level_db: float = NOISE_DB) -> float:
    """Pass frames that are not speech; return the gain after them."""
    for _ in range(frames):
        leveler.heard(0.05, level_db)
    return leveler.gain_db


def test_speech_of_unknown_level_is_amplified_from_its_first_frame() -> None:
    assert Leveler().gain(0.003) == pytest.approx(10 ** (START_GAIN_DB / 20))


def test_quiet_speech_keeps_a_high_gain_and_loud_speech_ends_it() -> None:
    assert speak(Leveler(), QUIET_DB) > 30
    loud = Leveler()
    assert speak(loud, LOUD_DB) == MIN_GAIN_DB
    assert loud.gain(PEAK_LIMIT) == 1, "a loud frame is passed on as it was recorded"


def test_the_gain_is_bounded_on_both_sides() -> None:
    assert speak(Leveler(), -96.0) == MAX_GAIN_DB
    assert speak(Leveler(), 0.0) == MIN_GAIN_DB


def test_the_gain_moves_by_small_steps() -> None:
    leveler = Leveler()
    gains = [leveler.gain_db]
    for level_db in [LOUD_DB] * 100 + [QUIET_DB] * 100:
        leveler.heard(0.95, level_db)
        gains.append(leveler.gain_db)
    assert np.abs(np.diff(gains)).max() <= RAMP_DB + 1e-9
    assert min(gains) == MIN_GAIN_DB
    assert max(gains[100:]) > 30


def test_a_click_at_full_scale_is_not_amplified_and_changes_nothing_for_the_next_frame() -> None:
    leveler = Leveler()
    assert leveler.gain(1.0) == 1
    for _ in range(KNOWN_FRAMES - 1):
        leveler.heard(0.9, -3.0)  # even a frame that the detector treats as speech
    assert leveler.gain_db == START_GAIN_DB
    assert speak(leveler, QUIET_DB) > 30


def test_no_frame_is_amplified_past_the_limit() -> None:
    leveler = Leveler()
    for peak in np.geomspace(1e-5, 1, 200):
        assert leveler.gain(peak) >= 1
        assert leveler.gain(peak) == 1 or peak * leveler.gain(peak) <= PEAK_LIMIT + 1e-9


@pytest.mark.parametrize("level_db", [-70.0, -50.0, -30.0])
def test_an_hour_of_noise_moves_nothing(level_db: float) -> None:
    leveler = Leveler()
    assert rustle(leveler, HOUR_FRAMES, level_db) == START_GAIN_DB
    assert speak(leveler, QUIET_DB) > 30


def test_the_level_is_held_over_a_pause_and_forgotten_after_a_long_one() -> None:
    leveler = Leveler()
    speak(leveler, LOUD_DB)
    assert rustle(leveler, HOLD_FRAMES - 1) == MIN_GAIN_DB
    assert rustle(leveler, 100) == START_GAIN_DB
    assert speak(leveler, LOUD_DB, KNOWN_FRAMES - 1) == START_GAIN_DB, "the known level is discarded"


def test_a_shout_does_not_end_the_gain_and_a_quieter_voice_soon_raises_it() -> None:
    leveler = Leveler()
    speak(leveler, QUIET_DB)
    assert speak(leveler, -5.0, 30) > 24
    speak(leveler, LOUD_DB)
    assert speak(leveler, QUIET_DB, 60) > 25


def test_forgetting_begins_anew() -> None:
    leveler = Leveler()
    speak(leveler, LOUD_DB)
    leveler.forget()
    assert leveler.gain_db == START_GAIN_DB
    assert speak(leveler, LOUD_DB, KNOWN_FRAMES - 1) == START_GAIN_DB


def hear(quiet: QuietSpeech, level_db: float, frames: int, probability: float = 0.95) -> int:
    """Return the number of changes of the problem."""
    return sum(quiet.hear(probability, level_db) for _ in range(frames))


def test_speech_that_is_quiet_for_long_is_a_problem_until_it_is_fine() -> None:
    quiet = QuietSpeech()
    assert hear(quiet, QUIET_DB, LONG_FRAMES) == 0
    assert hear(quiet, QUIET_DB, KNOWN_FRAMES) == 1
    assert quiet.holds
    assert hear(quiet, -60.0, 100) == 1
    assert not quiet.holds
    assert hear(quiet, QUIET_DB, LONG_FRAMES - KNOWN_FRAMES) == 0, "the count starts again"


def test_pauses_neither_count_nor_end_the_problem() -> None:
    quiet = QuietSpeech()
    for _ in range(LONG_FRAMES):
        hear(quiet, QUIET_DB, 1)
        hear(quiet, -40.0, 3, probability=0.1)
    assert not quiet.holds
    hear(quiet, QUIET_DB, KNOWN_FRAMES)
    assert quiet.holds
    assert hear(quiet, -40.0, HOUR_FRAMES, probability=0.1) == 0


def test_neither_noise_nor_a_few_quiet_words_are_a_problem() -> None:
    quiet = QuietSpeech()
    assert hear(quiet, -80.0, HOUR_FRAMES, probability=0.3) == 0
    for _ in range(20):
        assert hear(quiet, QUIET_DB, LONG_FRAMES // 2) == 0
        assert hear(quiet, LOUD_DB, 100) == 0


def test_lost_audio_begins_the_count_anew_and_does_not_end_the_problem() -> None:
    quiet = QuietSpeech()
    hear(quiet, QUIET_DB, LONG_FRAMES)
    quiet.interrupt()
    assert hear(quiet, QUIET_DB, LONG_FRAMES) == 0
    hear(quiet, QUIET_DB, KNOWN_FRAMES)
    quiet.interrupt()
    assert quiet.holds
    assert hear(quiet, LOUD_DB, KNOWN_FRAMES) == 1
