"""What a recognizer does beside decoding, with each kind of Parakeet: seams, stretches without words, forms, precisions."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import Stopped
from coldvoxd.core.features import log_mel
from coldvoxd.core.golden_verdict import words
from coldvoxd.core.languages import LanguageMeans
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, ModelFiles, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import hear, is_right, record
from coldvoxd.models import find_model
from coldvoxd.models.precision_build import convert
from coldvoxd.preparation.prepare import prepare
from coldvoxd.recognition.factory import open_on_cpu
from coldvoxd.virtual.faults import STALL, FaultyRecognizer, Plan, Script
from tests.support.models.family import write_ctc, write_rnnt, write_sherpa, write_tdt
from tests.support.sound.speech import samples, spoken


def write_three_graphs(directory: Path) -> Path:
    """The bundled model in sherpa-onnx's layout."""
    return write_sherpa(directory, write_tdt(directory.with_name("whole")), numbered=True)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "RNN-T": write_rnnt,
    "CTC": write_ctc,
    "TDT for sherpa-onnx": write_three_graphs,
}
PLENTY = 1e9


@pytest.fixture(scope="module", params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def files(kind: str, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return find_model(str(WRITERS[kind](tmp_path_factory.mktemp("family") / "model")), Precision.FP32)


@pytest.fixture(scope="module")
def recognizer(files: ModelFiles) -> Iterator[ParakeetRecognizer]:
    recognizer = ParakeetRecognizer.open(files, threads=1)
    yield recognizer
    recognizer.close()


@pytest.fixture
def own(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    """A model that a test may change, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return find_model(str(WRITERS[kind](tmp_path / "model")), Precision.FP32)


def session(recognizer: ParakeetRecognizer, method: SeamMethod, *said: Utterance) -> tuple[str, list[Hypothesis]]:
    """Return the text of a session, and the hypotheses of its utterances."""
    text = SessionText(SeamRules(method, longest_pause_s=2.5))
    found = []
    for one in said:
        with_context = replace(one, context=text.context_of(one))
        found.append(recognizer.recognize(with_context))
        text.add(with_context, found[-1])
    return text.text, found


def in_turn(*sentences: str) -> list[Utterance]:
    waves = [next(sample for sample in samples() if sample.said == sentence).wave() for sentence in sentences]
    return [
        Utterance(index, 1, index * 3 * SAMPLE_RATE, wave, EndReason.ENDPOINT, speech=((0, len(wave)),))
        for index, wave in enumerate(waves)
    ]


def test_words_have_times_in_order_within_the_audio(recognizer: ParakeetRecognizer) -> None:
    for sample in samples():
        words = recognizer.recognize_samples(sample.wave()).words
        times = [time for word in words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert times[-1] <= len(sample.wave()) / SAMPLE_RATE


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW])
def test_two_sentences_stay_two(recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    """For nearly all pairs: an RNN-T or CTC made of a TDT model is a little worse than that."""
    pairs = list(itertools.pairwise(sample.said for sample in samples()))
    found = [session(recognizer, method, *in_turn(*said)) for said in pairs]
    right = sum(text == " ".join(said) for said, (text, _) in zip(pairs, found, strict=True))
    decided = sum(second.seam is not None for _, (_, second) in found)
    assert min(right, decided) >= 0.8 * len(pairs)


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW])
def test_no_seam_changes_a_word(recognizer: ParakeetRecognizer, method: SeamMethod) -> None:
    for pair in itertools.pairwise(sample.said for sample in samples()[:6]):
        said = in_turn(*pair)
        _, (_, with_context) = session(recognizer, method, *said)
        alone = recognizer.recognize(said[1])
        assert (with_context.tokens, with_context.words) == (alone.tokens, alone.words)


def test_without_a_prediction_network_a_seam_by_state_is_one_by_window(recognizer: ParakeetRecognizer) -> None:
    decided = 0
    for pair in itertools.pairwise(sample.said for sample in samples()[:6]):
        said = in_turn(*pair)
        by_state, by_window = (
            session(recognizer, method, *said)[1][1].seam for method in (SeamMethod.STATE, SeamMethod.WINDOW)
        )
        decided += by_state is not None
        if recognizer.kind is ModelKind.CTC:
            assert by_state == by_window
    assert decided >= (4 if recognizer.kind is ModelKind.CTC else 5)


def test_speech_without_words_is_recognized_again_and_adds_none(recognizer: ParakeetRecognizer) -> None:
    wave = samples()[0].wave()
    noise = np.random.default_rng(0).normal(0, 0.002, 2 * SAMPLE_RATE).astype(np.float32)
    clip = np.concatenate((wave, noise, wave))
    heard = recognizer.recognize(Utterance(1, 1, 0, clip, EndReason.ENDPOINT, speech=((0, len(clip)),)))
    assert heard.holes == 1
    assert heard.text == f"{samples()[0].said} {samples()[0].said}"


@pytest.mark.heavy
def test_what_is_said_while_the_decoder_of_an_rnnt_stalls_is_recognized(tmp_path: Path) -> None:
    """It returns blank after the first sentence, until it starts from a fresh state."""
    files, script = find_model(str(write_rnnt(tmp_path / "model")), Precision.FP32), Script()
    stalling = FaultyRecognizer(lambda wrap: ParakeetRecognizer.open(files, threads=1, wrap=wrap), script, durations=0)
    tried = 0
    for one, other in itertools.pairwise(samples()[:12]):
        utterance = spoken(one.wave(), other.wave())
        right = stalling.recognize(utterance)
        if words(right.text) != words(f"{one.said} {other.said}"):
            continue  # an RNN-T made of a TDT model repeats a word at times
        tried += 1
        ends = next(
            number
            for number, token in enumerate(right.tokens, 1)
            if token.encoder_frame * 0.08 > len(one.wave()) / SAMPLE_RATE
        )
        script.tell(Plan(STALL, "decoder", tokens=ends - 1), 2)
        without = stalling.recognize(replace(utterance, speech=()))
        repaired = stalling.recognize(utterance)
        assert len(without.words) < len(right.words)
        assert (repaired.holes, repaired.holes_filled) == (1, 1)
        assert len(repaired.words) >= len(right.words) - 1
        assert words(repaired.text)[: len(words(one.said))] == words(one.said)
    assert tried >= 5
    stalling.close()


def test_a_run_that_is_not_wanted_any_more_ends(recognizer: ParakeetRecognizer) -> None:
    encoded = recognizer.encode(log_mel(samples()[0].wave(), recognizer.features_size))
    stop = CancellationToken()
    stop.ask()
    with pytest.raises(Stopped):
        recognizer.decode(encoded, stop)


def test_a_prepared_model_gives_the_same_tokens(own: ModelFiles) -> None:
    form = prepare(own, budget_bytes=PLENTY)
    plain, mapped = ParakeetRecognizer.open(own), ParakeetRecognizer.open(own, prepared=form)
    assert (mapped.kind, mapped.masks) == (plain.kind, False)
    for sample in samples():
        assert mapped.recognize_samples(sample.wave()).tokens == plain.recognize_samples(sample.wave()).tokens


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_it_is_converted(precision: Precision, own: ModelFiles) -> None:
    made = convert(own, precision, hear)
    assert made == find_model(str(own.directory), precision)
    recognizer = ParakeetRecognizer.open(made, threads=1)
    right = sum(recognizer.recognize_samples(sample.wave()).text == sample.said for sample in samples())
    assert recognizer._configuration == ParakeetRecognizer.open(own, threads=1)._configuration
    assert right >= len(samples()) - (2 if precision is Precision.INT8 else 0)


def test_the_daemon_opens_it_and_trusts_the_golden_clip(own: ModelFiles) -> None:
    text = record(own)
    assert is_right(own, text)
    opened = open_on_cpu(ModelSettings(name=str(own.directory)), Precision.FP32)
    assert opened.features_size == 128
    heard = opened.recognize(Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT))
    assert heard.text == samples()[0].said
    opened.close()


@pytest.mark.parametrize(
    ("means", "codes"),
    [(LanguageMeans.TOKEN, ()), (LanguageMeans.SCRIPT, ("de", "ru")), (LanguageMeans.BOTH, ("de", "ru"))],
)
def test_a_ctc_model_has_languages_only_by_their_scripts(
    means: LanguageMeans, codes: tuple[str, ...], tmp_path: Path
) -> None:
    directory = write_ctc(tmp_path / "model")
    path = directory / "vocab.txt"
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join(["<|de|> 0", "<|ru|> 1", *lines[2:]]) + "\n", "utf-8")
    recognizer = ParakeetRecognizer.open(find_model(str(directory), Precision.FP32), threads=1, language_means=means)
    assert recognizer.languages == codes
    utterance = Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT, language="ru")
    text = recognizer.recognize(utterance).text
    assert any(map(str.isalpha, text)) == (not codes), "no piece of this vocabulary has a Cyrillic letter"
    recognizer.close()
