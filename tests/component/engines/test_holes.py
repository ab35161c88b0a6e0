"""Speech in which the decoder stays on blank is recognized again, and no word is doubled."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.values import EndReason, Precision, Token, Utterance
from coldvoxd.engines.parakeet.holes import LEAST_SAMPLES, Hole, filled, find
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.vocabulary import BLANK, Vocabulary
from coldvoxd.models import find_model
from coldvoxd.virtual.faults import STALL, FaultyRecognizer, Plan, Script
from tests.support.sound.speech import samples, spoken

FRAME_SAMPLES = 1280
PIECES = ("\u2581the", "\u2581red", "\u2581list", "s", ".", "\u2581", "\u2581in", BLANK)
VOCABULARY = Vocabulary(PIECES)
THE, RED, LIST, S, STOP, SPACE, IN = range(7)
FRAMES = 100
SPEECH = ((0, FRAMES * FRAME_SAMPLES),)


def said(*tokens: tuple[int, int]) -> tuple[Token, ...]:
    """Return tokens of one frame each, from pieces and encoder frames."""
    return tuple(Token(piece, frame, 1, -0.1) for piece, frame in tokens)


def holes(tokens: tuple[Token, ...], speech: tuple[tuple[int, int], ...] = SPEECH) -> list[Hole]:
    return find(tokens, speech, FRAMES, FRAME_SAMPLES, VOCABULARY)


def texts(tokens: tuple[Token, ...]) -> str:
    return VOCABULARY.text(tokens)


def test_a_second_of_speech_without_a_word_is_a_hole_wherever_it_is() -> None:
    tokens = said((THE, 20), (RED, 24), (LIST, 60), (S, 62))
    assert holes(tokens) == [Hole(0, 20, 0), Hole(25, 60, 2), Hole(63, FRAMES, 4)]


@pytest.mark.parametrize(
    "speech",
    [
        (),
        ((24 * FRAME_SAMPLES, 25 * FRAME_SAMPLES + LEAST_SAMPLES - 1),),
        ((26 * FRAME_SAMPLES, 32 * FRAME_SAMPLES), (40 * FRAME_SAMPLES, 46 * FRAME_SAMPLES)),
    ],
)
def test_silence_and_less_than_a_second_of_speech_are_no_hole(speech: tuple[tuple[int, int], ...]) -> None:
    assert holes(said((THE, 20), (RED, 24), (LIST, 60)), speech) == []


def test_without_any_words_there_is_no_hole_since_the_whole_is_recognized_again() -> None:
    assert holes(()) == []


def test_a_full_stop_long_after_its_word_does_not_hide_a_hole() -> None:
    assert holes(said((THE, 0), (RED, 4), (STOP, 50), (LIST, 54))) == [Hole(5, 54, 3), Hole(55, FRAMES, 4)]


def test_found_words_go_between_the_words_beside_them() -> None:
    tokens = said((THE, 0), (LIST, 60))
    assert (
        texts(filled(tokens, Hole(1, 60, 1), said((RED, 30), (LIST, 34), (S, 36)), VOCABULARY)) == "the red lists list"
    )


def test_a_late_full_stop_does_not_make_its_word_last_beyond_the_found_ones() -> None:
    tokens = said((THE, 0), (RED, 4), (STOP, 50), (LIST, 54))
    more = filled(tokens, Hole(5, 54, 3), said((IN, 30)), VOCABULARY)
    assert [(token.id, token.encoder_frame) for token in more] == [(THE, 0), (RED, 4), (STOP, 5), (IN, 30), (LIST, 54)]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (((THE, 2), (RED, 30)), "the red lists"),
        (((RED, 30), (LIST, 57)), "the red lists"),
        (((S, 2), (RED, 30)), "the red lists"),
        (((RED, 30), (STOP, 34)), "the red. lists"),
        (((THE, 30), (RED, 34)), "the the red lists"),
        (((THE, 2),), ""),
        (((STOP, 30),), ""),
        ((), ""),
        (((RED, 70),), ""),
    ],
)
def test_a_word_that_ends_or_begins_beside_the_hole_is_not_doubled(
    found: tuple[tuple[int, int], ...], text: str
) -> None:
    tokens = said((THE, 0), (LIST, 60), (S, 61))
    assert texts(filled(tokens, Hole(1, 60, 1), said(*found), VOCABULARY)) == text


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def stalling(script: Script) -> Iterator[FaultyRecognizer]:
    """A recognizer whose decoder stays on blank as `script` says."""
    files = find_model("mini", Precision.FP32)
    recognizer = FaultyRecognizer(lambda wrap: ParakeetRecognizer.open(files, threads=1, wrap=wrap), script)
    yield recognizer
    recognizer.close()


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    """Three sentences each, with pauses that do not end an utterance."""
    waves = [sample.wave() for sample in samples()]
    return [spoken(waves[at], waves[at + 1], waves[at + 2]) for at in range(0, len(waves) - 2, 3)]


@pytest.mark.heavy
@pytest.mark.parametrize("place", ["beginning", "middle", "end"])
def test_what_is_said_during_a_stall_is_recognized(
    stalling: FaultyRecognizer, script: Script, utterances: list[Utterance], place: str
) -> None:
    lost = wrong = 0
    vocabulary = Vocabulary.read(find_model("mini", Precision.FP32).vocabulary)
    for utterance in utterances:
        right = stalling.recognize(utterance)
        assert right.holes == 0
        sentence = 1 + next(at for at, token in enumerate(right.tokens) if vocabulary.shown(token.id) in {".", "?"})
        plan = {
            "beginning": Plan(STALL, "decoder", frames=40),
            "middle": Plan(STALL, "decoder", tokens=sentence, frames=40),
            "end": Plan(STALL, "decoder", tokens=sentence),
        }[place]
        script.tell(plan, 2)
        without = stalling.recognize(replace(utterance, speech=()))
        repaired = stalling.recognize(utterance)
        assert (repaired.holes, repaired.holes_filled) == (1, 1)
        expected = letters(right.text)
        lost += len(expected) - len(letters(without.text))
        wrong += abs(len(expected) - len(letters(repaired.text)))
        times = [(word.start_s, word.end_s) for word in repaired.words]
        assert times == sorted(times)
    assert lost > 3 * len(utterances)
    assert wrong <= lost // 20, (wrong, lost)


def letters(text: str) -> list[str]:
    """Return the words without case and punctuation."""
    return "".join(letter for letter in text.casefold() if letter.isalnum() or letter == " ").split()


@pytest.mark.heavy
def test_ordinary_speech_has_no_holes(stalling: FaultyRecognizer) -> None:
    for sample in samples():
        hypothesis = stalling.recognize(spoken(sample.wave()))
        assert (hypothesis.text, hypothesis.holes) == (sample.heard["fp32"], 0)


def test_a_drawn_out_word_and_noise_add_no_words(stalling: FaultyRecognizer) -> None:
    wave = samples()[0].wave()
    noise = np.random.default_rng(0).normal(0, 0.02, 32_000).astype(np.float32)
    clip = np.concatenate((wave, noise, wave))
    everything = Utterance(1, 1, 0, clip, EndReason.ENDPOINT, speech=((0, len(clip)),))
    plain = stalling.recognize(replace(everything, speech=()))
    assert letters(stalling.recognize(everything).text) == letters(plain.text)
