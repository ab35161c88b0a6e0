"""Pieces of a recording are encoded together: the texts stay the same, whatever happens to such a run."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.batching import LOOKAHEAD, MOST_PADDING, Together, groups, together
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.models import find_model
from coldvoxd.native.session import OrtSession
from coldvoxd.vad.silero import SileroDetector
from tests.support.models.family import write_ctc, write_rnnt
from tests.support.models.tiny_graphs import write_tiny_parakeet
from tests.support.sound.pauses import room
from tests.support.sound.speech import samples

LENGTHS = st.lists(st.integers(1, 320_000), max_size=40)


@given(LENGTHS, st.integers(1, 16))
def test_groups_have_similar_lengths_and_no_piece_twice(lengths: list[int], batch_size: int) -> None:
    found = groups(lengths, batch_size)
    indices = [index for group in found for index in group]
    assert len(indices) == len(set(indices))
    for group in found:
        assert 1 < len(group) <= batch_size
        longest = max(lengths[index] for index in group)
        assert all(lengths[index] >= (1 - MOST_PADDING) * longest for index in group)
    if batch_size > 1:  # two neighbours by length that would fit together are not both left alone
        alone = sorted(set(range(len(lengths))) - set(indices), key=lambda index: -lengths[index])
        order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        for one, other in pairwise(order):
            if one in alone and other in alone:
                assert lengths[other] < (1 - MOST_PADDING) * lengths[one]


def piece(number: int, length: int = 16_000) -> Utterance:
    return Utterance(number, 0, 0, np.zeros(length, np.float32), EndReason.LENGTH)


@given(LENGTHS, st.integers(1, 4))
def test_the_order_stays_and_each_group_comes_before_its_pieces(lengths: list[int], batch_size: int) -> None:
    steps: list[Utterance | None] = [None]
    for number, length in enumerate(lengths):
        steps += [piece(number, length), None]
    seen: list[int] = []
    announced: set[int] = set()
    for step in together(iter(steps), lambda: batch_size):
        if isinstance(step, Together):
            assert not {one.id for one in step.pieces} & (announced | set(seen))
            announced |= {one.id for one in step.pieces}
        elif step is not None:
            seen.append(step.id)
    assert seen == list(range(len(lengths)))
    assert announced <= set(seen)
    assert batch_size > 1 or not announced


def test_a_smaller_batch_size_applies_to_the_pieces_that_are_still_to_come() -> None:
    allowed = [4]

    def endless() -> Iterator[Utterance]:
        for number in range(64):
            yield piece(number)

    sizes = []
    for step in together(endless(), lambda: allowed[-1]):
        if isinstance(step, Together):
            sizes.append(len(step.pieces))
            allowed.append(2)
    assert sizes[:1] == [4]
    assert set(sizes[LOOKAHEAD:]) == {2}


def talk(directory: Path, count: int = 10) -> Path:
    """Write sentences with pauses of 1.2 s, which are cut into several pieces of at most 5 s."""
    parts = [part for sample in samples()[:count] for part in (sample.wave(), room(1.2))]
    soundfile.write(directory / "talk.wav", np.concatenate(parts), SAMPLE_RATE, subtype="FLOAT")
    return directory / "talk.wav"


class Counting(OrtSession):
    """A session that records how many utterances each run has."""

    def __init__(self, real: OrtSession, sizes: list[int]) -> None:
        self._real, self._sizes = real, sizes
        self.path, self.provider, self.inputs, self.outputs = real.path, real.provider, real.inputs, real.outputs

    def run(self, outputs, feeds, stop: CancellationToken | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        if "audio_signal" in feeds:
            self._sizes.append(len(feeds["audio_signal"]))
        return self._real.run(outputs, feeds, stop)

    def bound(self, feeds, results):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return self._real.bound(feeds, results)

    def close(self) -> None:
        self._real.close()


def heard(path: Path, batch_size: int, precision: Precision, method: SeamMethod) -> tuple[FileTranscript, list[int]]:
    sizes: list[int] = []
    recognizer = ParakeetRecognizer.open(
        find_model("mini", precision), threads=1, wrap=lambda session: Counting(session, sizes)
    )
    rules = SeamRules(method, 2.5)
    found = transcribe_file(path, recognizer, SileroDetector(), seam_rules=rules, longest_s=5.0, batch_size=batch_size)
    recognizer.close()
    return found, sizes


@pytest.mark.parametrize("method", [SeamMethod.OFF, SeamMethod.STATE, SeamMethod.WINDOW])
def test_in_fp32_words_times_and_confidences_are_those_of_single_pieces(tmp_path: Path, method: SeamMethod) -> None:
    path = talk(tmp_path)
    alone, sizes_alone = heard(path, 1, Precision.FP32, method)
    batched, sizes = heard(path, 4, Precision.FP32, method)
    assert batched.text == alone.text
    assert [(word.text, word.start_s, word.end_s) for word in batched.words] == [
        (word.text, word.start_s, word.end_s) for word in alone.words
    ]
    assert [word.confidence for word in batched.words] == pytest.approx([word.confidence for word in alone.words])
    assert set(sizes_alone) == {1}
    assert max(sizes) in {2, 3, 4}
    assert sum(sizes) == sum(sizes_alone), "no piece is encoded twice"


def test_in_int8_no_word_is_lost(tmp_path: Path) -> None:
    path = talk(tmp_path)
    alone, _ = heard(path, 1, Precision.INT8, SeamMethod.OFF)
    batched, sizes = heard(path, 4, Precision.INT8, SeamMethod.OFF)
    assert max(sizes) > 1
    assert len(batched.words) == len(alone.words)


def test_the_encoder_output_of_another_recognizer_is_not_used() -> None:
    one, other = (ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1) for _ in range(2))
    waves = [samples()[0].wave(), samples()[3].wave()]
    utterances = tuple(Utterance(at, 0, 0, wave, EndReason.LENGTH) for at, wave in enumerate(waves))
    ahead = one.encode_ahead(utterances)
    assert all(utterance.encoded is not None and utterance.encoded.maker is one for utterance in ahead)
    swapped = [
        Utterance(at, 0, 0, wave, EndReason.LENGTH, encoded=ahead[1 - at].encoded) for at, wave in enumerate(waves)
    ]
    assert [other.recognize(utterance).text for utterance in swapped] == [
        other.recognize(utterance).text for utterance in utterances
    ]
    assert one.recognize(swapped[0]).text == one.recognize(utterances[1]).text, "its own is"


@pytest.mark.heavy
@pytest.mark.parametrize("write", [write_rnnt, write_ctc])
def test_other_kinds_of_models_are_encoded_together_too(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    recognizer = ParakeetRecognizer.open(find_model(str(write(tmp_path / "model")), Precision.FP32), threads=1)
    utterances = tuple(
        Utterance(at, 0, 0, samples()[number].wave(), EndReason.LENGTH) for at, number in enumerate((0, 3, 5, 9))
    )
    ahead = recognizer.encode_ahead(utterances)
    assert all(utterance.encoded is not None for utterance in ahead)
    assert [recognizer.recognize(one).tokens for one in ahead] == [
        recognizer.recognize(one).tokens for one in utterances
    ]


def test_silence_and_clicks_in_a_group_are_left_out() -> None:
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    waves = [samples()[0].wave(), np.zeros(30_000, np.float32), samples()[3].wave(), np.ones(100, np.float32) * 0.1]
    utterances = tuple(Utterance(at, 0, 0, wave, EndReason.LENGTH) for at, wave in enumerate(waves))
    ahead = recognizer.encode_ahead(utterances)
    assert [utterance.encoded is not None for utterance in ahead] == [True, False, True, False]
    assert [recognizer.recognize(one).text for one in ahead] == [recognizer.recognize(one).text for one in utterances]


def test_a_group_that_fails_is_recognized_piece_by_piece_and_a_piece_that_fails_is_an_error(tmp_path: Path) -> None:
    path = talk(tmp_path, 4)
    broken = ParakeetRecognizer.open(
        find_model(str(write_tiny_parakeet(tmp_path / "tiny", fault="raise")), Precision.FP32)
    )
    with pytest.raises(ProviderFault):
        transcribe_file(path, broken, SileroDetector(), longest_s=5.0, batch_size=4)
