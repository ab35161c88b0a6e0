"""The fallback engine whisper with a multilingual model, OpenAI's base. `contrib/dev/setup.sh` unpacks it for the CI lane."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.values import EndReason, Utterance
from coldvoxd.engines.whisper.recognizer import WhisperRecognizer
from tests.support.models.fallback import converted
from tests.support.sound.speech import samples

ROOT = Path(__file__).parents[3]
MODEL = ROOT / ".work/whisper-base/model"

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not MODEL.is_dir(), reason="needs Whisper base, which contrib/test.sh --system unpacks"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperRecognizer]:
    file = tmp_path_factory.mktemp("base") / "ggml-base.bin"
    converted(MODEL, file)
    recognizer = WhisperRecognizer.open(file)
    yield recognizer
    recognizer.close()


def test_a_multilingual_model_lists_its_languages(base: WhisperRecognizer) -> None:
    assert {"de", "en", "fr", "ja"} <= set(base.languages)
    assert len(base.languages) > 90


def test_the_language_is_found_or_selected(base: WhisperRecognizer) -> None:
    """The texts are those of faster-whisper on the original files: contrib/trials/whisper_equality.py."""
    sample = samples()[0]
    utterance = Utterance(1, 1, 0, sample.wave(), EndReason.ENDPOINT)
    found = base.recognize(utterance)
    english = base.recognize(replace(utterance, language="en"))
    german = base.recognize(replace(utterance, language="de"))
    assert found.text == english.text == "Open the file."
    assert german.text
    assert base.recognize(replace(utterance, language="xx")).text == found.text, "an unknown language is as `auto`"


@pytest.mark.parametrize("number", [3, 6])
def test_clear_speech_is_right(base: WhisperRecognizer, number: int) -> None:
    sample = samples()[number]
    heard = base.recognize(Utterance(1, 1, 0, sample.wave(), EndReason.ENDPOINT, language="en"))
    spelled = heard.text.lower().replace("12", "twelve")
    assert re.findall(r"[a-z']+", spelled) == re.findall(r"[a-z']+", sample.said.lower())
