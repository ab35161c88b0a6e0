"""A long recording has the text of its sentences apart, wherever its pieces are cut."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.joining import Joining
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.media.conversion import Samples
from coldvoxd.media.pieces import Limits, pieces
from coldvoxd.models import find_model
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import Wave, mini
from tests.support.sound.talk import Talk, changes, talk, words_of

SMALL = Limits(most_s=45, search_s=15, overlap_s=4)


@pytest.fixture(scope="module")
def recognizer() -> Iterator[ParakeetRecognizer]:
    recognizer = ParakeetRecognizer.open(find_model(str(mini()), Precision.FP32), threads=1)
    yield recognizer
    recognizer.close()


def blocks(wave: Wave) -> Iterator[Samples]:
    for begin in range(0, len(wave), 16_000):
        yield np.rint(wave[begin : begin + 16_000] * 32767).astype(np.int16)[:, None]


def transcribed(recording: Talk, recognizer: ParakeetRecognizer) -> tuple[Joining, int]:
    joining, count = Joining(), 0
    for piece in pieces(blocks(recording.wave), SileroDetector, limits=SMALL):
        assert os.fstat(piece.descriptor).st_size <= 44 + 2 * 45 * 16_000
        joining.add(transcribe_file(piece.descriptor, recognizer, SileroDetector()), piece.start_s, piece.end_s)
        count += 1
    return joining, count


@pytest.mark.heavy
def test_a_recording_with_pauses_has_the_words_of_its_sentences(recognizer: ParakeetRecognizer) -> None:
    recording = talk(240, seed=1)
    joining, count = transcribed(recording, recognizer)
    found = joining.result()
    assert count >= 5
    apart = words_of(recording.heard("fp32"))
    lost, added, replaced = changes(apart, words_of(found.text))
    assert (lost, added) == (0, 0)
    assert replaced <= 0.02 * len(apart)
    starts = [word.start_s for word in found.words]
    assert starts == sorted(starts)
    for sentence in recording.sentences:
        inside = [word for word in found.words if sentence.begin_s - 0.3 <= word.start_s < sentence.end_s]
        assert len(inside) == len(words_of(sentence.sample.heard["fp32"]))


@pytest.mark.heavy
def test_a_recording_without_pauses_loses_and_doubles_no_more_words_than_in_one_piece(
    recognizer: ParakeetRecognizer,
) -> None:
    recording = talk(240, pauses_s=(0.0, 0.0), seed=2, tight=True)
    joining, count = transcribed(recording, recognizer)
    found = joining.result()
    assert count >= 5
    whole = Joining()
    for piece in pieces(blocks(recording.wave), SileroDetector):
        whole.add(transcribe_file(piece.descriptor, recognizer, SileroDetector()), piece.start_s, piece.end_s)
    said = words_of(recording.said)
    cut, uncut = (sum(changes(said, words_of(one.text))) for one in (found, whole.result()))
    assert cut <= uncut + 0.01 * len(said)
    assert " ".join(word.text for word in found.words) == found.text
