"""The transcripts of a recording's pieces become one, with the times of the recording."""

import pytest

from coldvoxd.audio.streams import clock, later
from coldvoxd.core.file_values import NO_SPEECH, NO_WORDS, FileTranscript
from coldvoxd.core.values import Word
from coldvoxd.files.joining import Joining


def transcript(text: str, *warnings: str, begin_s: float = 0.0, confidence: float = 0.9) -> FileTranscript:
    """Return the transcript of 10 s with a word a second."""
    words = tuple(Word(word, begin_s + at, begin_s + at + 0.4, 0.9) for at, word in enumerate(text.split()))
    return FileTranscript(text, words, 10.0, confidence if text else 0.0, warnings)


def test_times_are_those_of_the_recording() -> None:
    joining = Joining()
    joining.add(transcript("one two"), 0, 10)
    joining.add(transcript("three"), 10, 20)
    found = joining.result()
    assert found.text == "one two three"
    assert [word.start_s for word in found.words] == [0, 1, 10]
    assert found.duration_s == 20
    assert found.warnings == ()


def test_the_words_of_an_overlap_are_taken_once() -> None:
    joining = Joining()
    joining.add(transcript("one two three fo"), 0, 4)
    joining.add(transcript("hree four five"), 2, 12)
    joining.add(transcript("six"), 12, 22)
    found = joining.result()
    assert found.text == "one two three four five six"
    assert " ".join(word.text for word in found.words) == found.text
    starts = [word.start_s for word in found.words]
    assert starts == sorted(starts)


def test_the_times_in_warnings_are_those_of_the_recording() -> None:
    joining = Joining()
    joining.add(transcript("one"), 0, 1800)
    joining.add(
        transcript("two", "No words were recognized from 0:05.0 to 29:59.9, where there may be speech."), 1800, 3600
    )
    joining.warn("The file is truncated at 1:00:00.0: words may be missing there.")
    assert joining.result().warnings == (
        "No words were recognized from 30:05.0 to 59:59.9, where there may be speech.",
        "The file is truncated at 1:00:00.0: words may be missing there.",
    )


@pytest.mark.parametrize("seconds", [0.0, 59.9, 61.0, 3599.95, 3600.0, 7261.3])
def test_a_clock_is_moved(seconds: float) -> None:
    assert (
        later(f"at {clock(5)}, and {clock(3725)}.", seconds) == f"at {clock(5 + seconds)}, and {clock(3725 + seconds)}."
    )


def test_a_piece_without_words_is_no_warning_if_others_have_words() -> None:
    joining = Joining()
    joining.add(transcript("", NO_SPEECH), 0, 10)
    joining.add(transcript("one"), 10, 20)
    assert joining.result().warnings == ()
    silent = Joining()
    for start_s, warning in enumerate([NO_SPEECH, NO_WORDS, NO_SPEECH]):
        silent.add(transcript("", warning), 10 * start_s, 10 * start_s + 10)
    assert silent.result().warnings == (NO_WORDS,)


def test_confidence_is_weighted_by_words() -> None:
    joining = Joining()
    joining.add(transcript("one two three", confidence=0.9), 0, 10)
    joining.add(transcript("four", confidence=0.1), 10, 20)
    joining.add(transcript("", NO_SPEECH), 20, 30)
    assert joining.result().confidence == pytest.approx((0.9**3 * 0.1) ** 0.25)
