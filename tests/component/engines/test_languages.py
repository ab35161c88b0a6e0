"""A selected language changes the decoding by its token and by excluded scripts, on real ONNX graphs; without one, nothing."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.languages import AUTO, EUROPEAN, LanguageMeans
from coldvoxd.core.seams import LastTokens, SeamContext, SeamMethod
from coldvoxd.core.values import SAMPLE_RATE, EndReason, ModelFiles, Precision, Utterance
from coldvoxd.engines.parakeet.decoder import CutDecoder, WholeDecoder
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.steering import NOT_STEERED, Languages
from coldvoxd.engines.parakeet.tdt import decode_greedy, log_probability
from coldvoxd.engines.parakeet.vocabulary import BLANK, Vocabulary
from coldvoxd.models import find_model
from coldvoxd.native.opening import open_session
from tests.support.models.internals import decoder_of, transducer_of
from tests.support.models.multilingual import CONTROL_PIECES, RIVALS, TEXTS, write_multilingual_parakeet
from tests.support.sound.speech import mini, samples

BY_TOKEN = {"auto": "Мир hello.", "de": "Hallo Welt.", "en": "Hello мир.", "ru": "Привет hello."}
BY_SCRIPT = {"auto": "Мир hello.", "de": "Peace hello.", "en": "Peace hello.", "ru": "Мир мир."}


def noise(seconds: float = 2.0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * SAMPLE_RATE)).astype(np.float32)


def utterance(language: str = AUTO) -> Utterance:
    return Utterance(1, 1, 0, noise(), EndReason.STOP, language=language)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_multilingual_parakeet(tmp_path_factory.mktemp("models") / "multilingual")


@pytest.fixture(scope="module")
def files(directory: Path) -> ModelFiles:
    return find_model(str(directory), Precision.FP32)


@pytest.fixture(scope="module")
def recognizer(files: ModelFiles) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(files, threads=1)


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_decides_what_is_recognized(recognizer: ParakeetRecognizer, language: str) -> None:
    assert isinstance(decoder_of(recognizer), CutDecoder)
    assert recognizer.recognize(utterance(language)).text == TEXTS[language]
    assert recognizer.recognize(utterance()).text == TEXTS["auto"], "the next utterance is not primed"


@pytest.mark.parametrize(("means", "texts"), [(LanguageMeans.TOKEN, BY_TOKEN), (LanguageMeans.SCRIPT, BY_SCRIPT)])
def test_each_means_can_be_used_alone(files: ModelFiles, means: LanguageMeans, texts: dict[str, str]) -> None:
    recognizer = ParakeetRecognizer.open(files, threads=1, language_means=means)
    assert {language: recognizer.recognize(utterance(language)).text for language in texts} == texts


def test_a_decoder_in_one_graph_is_steered_alike(files: ModelFiles, recognizer: ParakeetRecognizer) -> None:
    vocabulary = recognizer.vocabulary
    whole = WholeDecoder(open_session(files.decoder[0], threads=1), vocabulary.blank)
    encoded = np.arange(25, dtype=np.float32)[:, None]
    for language in TEXTS:
        steering = Languages(vocabulary).steering(language)
        tokens = decode_greedy(
            encoded, whole, blank=vocabulary.blank, before=steering.before, excluded=steering.excluded
        )
        assert tokens == recognizer.decode(encoded, steering=steering)
        assert vocabulary.text(tokens) == TEXTS[language]


def test_a_token_that_replaces_a_foreign_one_has_its_own_probability_and_the_predicted_duration(
    recognizer: ParakeetRecognizer,
) -> None:
    """The probability is among all tokens: the confidence falls where the model prefers another script."""
    free = recognizer.recognize(utterance())
    scores = np.zeros(len(recognizer.vocabulary), np.float32)
    scores[0], scores[1] = 5, 4
    by_script = Languages(recognizer.vocabulary, means=LanguageMeans.SCRIPT).steering("de")
    encoded = np.arange(25, dtype=np.float32)[:, None]
    replaced = recognizer.decode(encoded, steering=by_script)[0]
    assert recognizer.vocabulary.pieces[replaced.id] == RIVALS["\u2581\u041c\u0438\u0440"]
    assert (replaced.encoder_frame, replaced.duration_frames) == (0, free.tokens[0].duration_frames)
    assert replaced.logprob == pytest.approx(log_probability(scores, 1))
    assert replaced.logprob < free.tokens[0].logprob


def test_only_codes_of_two_letters_are_languages(recognizer: ParakeetRecognizer) -> None:
    assert recognizer.languages == ("de", "en", "ja", "ru")
    assert not set(CONTROL_PIECES) & {
        recognizer.vocabulary.pieces[at] for at in recognizer.vocabulary.language_tokens.values()
    }


def test_of_a_known_model_only_the_languages_that_it_recognizes_can_be_selected(
    recognizer: ParakeetRecognizer, files: ModelFiles
) -> None:
    """The published vocabulary has tokens for about 180 languages, and the weights recognize 25."""
    known = ParakeetRecognizer.open(replace(files, languages=EUROPEAN), threads=1)
    assert known.languages == ("de", "en", "ru")
    assert recognizer.recognize(utterance("ja")).text == "こ."
    assert known.recognize(utterance("ja")).text == TEXTS["auto"]


def test_an_utterance_in_a_language_that_the_model_lacks_is_recognized_and_that_is_logged(
    files: ModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """A model may be replaced during a session: its audio must still become text."""
    recognizer = ParakeetRecognizer.open(files, threads=1)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert recognizer.recognize(utterance("fr")).text == TEXTS["auto"]
    assert [record.getMessage() for record in caplog.records] == [
        "the model has no language 'fr': utterances are recognized without it"
    ]


VOCABULARY = Vocabulary(
    (
        "<unk>", "<|pnc|>", "<|de|>", "<|ru|>", "<|el|>", "\u2581", "\u2581der", "\u2581\u0434\u0435\u043d\u044c",
        "\u2581\u03c4\u03bf", "\u2581A\u0431", ".", "\u25812024", "<0xC3>", "\u2581\u00b5", "\u00ba", "\u00f6\u00df\u0142", BLANK,
    )
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "excluded"),
    [
        ("de", {"\u2581\u0434\u0435\u043d\u044c", "\u2581\u03c4\u03bf", "\u2581A\u0431"}),
        ("ru", {"\u2581der", "\u2581\u03c4\u03bf", "\u2581A\u0431", "\u00f6\u00df\u0142"}),
        ("el", {"\u2581der", "\u2581\u0434\u0435\u043d\u044c", "\u2581A\u0431", "\u00f6\u00df\u0142"}),
    ],
)
def test_tokens_with_a_letter_of_another_script_are_excluded_and_no_others(language: str, excluded: set[str]) -> None:
    mask = Languages(VOCABULARY).steering(language).excluded
    assert mask is not None
    assert {piece for piece, is_excluded in zip(VOCABULARY.pieces, mask, strict=True) if is_excluded} == excluded
    assert not mask[VOCABULARY.blank]


def test_a_language_without_a_known_script_is_primed_only() -> None:
    vocabulary = Vocabulary(("<|ja|>", "<|de|>", "\u2581der", "\u2581\u3053", BLANK))
    steering = Languages(vocabulary).steering("ja")
    assert (steering.before, steering.excluded) == ((0,), None)


def test_a_model_of_one_language_accepts_it_and_changes_nothing() -> None:
    found = find_model("mini", Precision.FP32)
    assert found.languages == ("en",)
    recognizer = ParakeetRecognizer.open(found, threads=1)
    assert recognizer.languages == ("en",)
    assert recognizer._languages.steering("en") == NOT_STEERED
    for clip in samples()[:3]:
        free, english = (recognizer.recognize_samples(clip.wave(), language=language) for language in (AUTO, "en"))
        assert free.tokens == english.tokens
        assert (free.text, free.confidence) == (english.text, english.confidence)


def test_a_vocabulary_without_languages_has_none_to_select() -> None:
    assert Languages(Vocabulary(("\u2581to", BLANK))).codes == ()


# Composition with seams and holes.


def context(recognizer: ParakeetRecognizer, method: SeamMethod) -> SeamContext:
    vocabulary = recognizer.vocabulary
    ids = (vocabulary.pieces.index("\u2581Hallo"),)
    tokens = LastTokens(vocabulary.fingerprint, ids)
    return SeamContext(method, tokens, "hallo", noise(0.4))


class Recorded:
    """A decoder that records the tokens read in each decoding."""

    def __init__(self, real: CutDecoder) -> None:
        self._real = real
        self.decodings: list[list[int]] = []

    @property
    def joint(self) -> object:
        return self._real.joint

    def begin(self) -> None:
        self.decodings.append([])
        self._real.begin()

    def read(self, token: int) -> None:
        self.decodings[-1].append(token)
        self._real.read(token)

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._real.score(encoder_frame)


def recorded(files: ModelFiles) -> tuple[ParakeetRecognizer, Recorded]:
    recognizer = ParakeetRecognizer.open(files, threads=1)
    real = decoder_of(recognizer)
    assert isinstance(real, CutDecoder)
    transducer_of(recognizer).decoder = decoder = Recorded(real)  # type: ignore[assignment] # records what it reads
    return recognizer, decoder


@pytest.mark.parametrize("method", [SeamMethod.STATE, SeamMethod.WINDOW])
def test_a_seam_is_determined_in_the_language_of_the_utterance(files: ModelFiles, method: SeamMethod) -> None:
    recognizer, decoder = recorded(files)
    token = recognizer.vocabulary.language_tokens["de"]
    before = context(recognizer, method)
    text = recognizer.recognize(replace(utterance("de"), context=before)).text
    assert text == TEXTS["de"]
    first, second = decoder.decodings
    assert first[0] == token
    expected = [token, *before.tokens.ids] if method is SeamMethod.STATE else [token]
    assert second[: len(expected)] == expected, "the language's token comes before those of the earlier utterance"


def test_a_hole_is_decoded_from_the_primed_state(files: ModelFiles) -> None:
    """The fresh state of an utterance in a language is the one after the language's token."""
    recognizer, decoder = recorded(files)
    spoken = replace(utterance("ru"), samples=noise(4), speech=((0, 4 * SAMPLE_RATE),))
    hypothesis = recognizer.recognize(spoken)
    assert hypothesis.holes == 1
    assert len(decoder.decodings) == 3, "the whole, the frames of the hole, and its audio again"
    assert {decoding[0] for decoding in decoder.decodings} == {recognizer.vocabulary.language_tokens["ru"]}
    assert not set("abcdefghijklmnopqrstuvwxyz") & set(hypothesis.text.lower())


# The bundled weights with some of its words in another script: real speech, real scores.


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> ParakeetRecognizer:
    """The bundled model, whose vocabulary has languages in place of unused pieces, and Cyrillic words."""
    directory = tmp_path_factory.mktemp("mixed")
    for path in mini().iterdir():
        if path.suffix in {".onnx", ".json", ".txt"}:
            shutil.copy(path, directory / path.name)
    renamed = {"\u2581Ounce": "<|en|>", "\u2581Mocha": "<|ru|>", "\u2581file": "\u2581\u0444\u0430\u0439\u043b"}
    lines = (directory / "vocab.txt").read_text("utf-8").splitlines()
    changed = [" ".join((renamed.get(piece, piece), at)) for piece, at in (line.rsplit(" ", 1) for line in lines)]
    (directory / "vocab.txt").write_text("\n".join(changed) + "\n", "utf-8")
    return ParakeetRecognizer.open(
        find_model(str(directory), Precision.FP32), threads=1, language_means=LanguageMeans.SCRIPT
    )


def test_real_speech_has_no_letter_of_another_script(mixed: ParakeetRecognizer) -> None:
    clip = next(sample for sample in samples() if sample.name.endswith("open-the-file"))
    texts = {code: mixed.recognize_samples(clip.wave(), language=code).text for code in (AUTO, "en", "ru")}
    assert texts[AUTO] == "Open the \u0444\u0430\u0439\u043b."
    assert texts["en"].startswith("Open the")
    assert texts["en"].isascii()
    assert texts["ru"] == "" or not any(letter.isascii() and letter.isalpha() for letter in texts["ru"])
