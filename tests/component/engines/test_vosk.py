"""The fallback engine vosk. The model is Korean and the speech English, so only the mechanics are tested."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import InputFault, ModelInvalid, ModelMissing, ProviderFault, Stopped
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Precision, Utterance
from coldvoxd.engines.vosk import ENGINE
from coldvoxd.engines.vosk.recognizer import VoskRecognizer
from tests.support.models.fallback import korean
from tests.support.sound.speech import samples


@pytest.fixture(scope="module")
def vosk() -> Iterator[VoskRecognizer]:
    recognizer = VoskRecognizer.open(korean())
    yield recognizer
    recognizer.close()


def spoken(number: int = 2) -> Utterance:
    return Utterance(1, 1, 0, samples()[number].wave(), EndReason.ENDPOINT)


def test_speech_becomes_words_with_times_and_confidences(vosk: VoskRecognizer) -> None:
    utterance = spoken()
    heard = vosk.recognize(utterance, CancellationToken())
    assert heard.text == " ".join(word.text for word in heard.words)
    assert len(heard.words) > 2
    assert len(heard.tokens) == len(heard.words)
    assert 0 < heard.confidence < 1
    times = [time for word in heard.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= utterance.duration_s
    assert vosk.recognize(utterance).text == heard.text


def test_what_is_no_speech_gives_no_text(vosk: VoskRecognizer) -> None:
    for wave in (np.zeros(SAMPLE_RATE, np.float32), np.ones(100, np.float32)):
        assert vosk.recognize(replace(spoken(), samples=wave)).text == ""
    with pytest.raises(InputFault, match="NaN"):
        vosk.recognize(replace(spoken(), samples=np.full(SAMPLE_RATE, np.nan, np.float32)))


def test_a_cancelled_run_ends_with_stopped(vosk: VoskRecognizer) -> None:
    long = replace(spoken(), samples=np.tile(spoken().samples, 20))
    during = CancellationToken()
    threading.Timer(0.05, during.ask).start()
    with pytest.raises(Stopped):
        vosk.recognize(long, during)
    assert vosk.recognize(spoken()).text


def test_what_the_engine_is(vosk: VoskRecognizer) -> None:
    assert vosk.provider == "CPUExecutionProvider"
    assert vosk.precision is Precision.FP32
    assert vosk.languages == ()
    assert vosk.features_size == 0
    assert ENGINE.stops_quickly


def test_a_closed_recognizer_refuses() -> None:
    recognizer = VoskRecognizer.open(korean())
    recognizer.close()
    recognizer.close()
    with pytest.raises(ProviderFault, match="closed"):
        recognizer.recognize(spoken())


def test_a_path_that_is_no_model_is_named_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no directory .*nothing.*vosk-model-small"):
        ENGINE.open(tmp_path / "nothing", 0)
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(ModelInvalid, match="is a file"):
        ENGINE.open(file, 0)
    with pytest.raises(ModelInvalid, match=r"lacks final\.mdl, mfcc\.conf, HCLr\.fst, Gr\.fst"):
        ENGINE.open(tmp_path, 0)


@pytest.mark.heavy
def test_a_damaged_model_is_refused_and_does_not_end_the_process(tmp_path: Path) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(korean(), partial, copy_function=lambda source, target: Path(target).symlink_to(source))
    (partial / "am/final.mdl").unlink()
    with pytest.raises(ModelInvalid, match=r"lacks am/final\.mdl"):
        ENGINE.open(partial, 0)
    (partial / "am/final.mdl").symlink_to(korean() / "am/final.mdl")
    (partial / "graph/HCLr.fst").unlink()
    (partial / "graph/HCLr.fst").write_bytes(b"no graph")
    with pytest.raises(ModelInvalid, match=r"Vosk cannot load .*damaged"):
        ENGINE.open(partial, 0)
    (partial / "am/final.mdl").unlink()
    (partial / "am/final.mdl").write_bytes(b"no model")
    with pytest.raises(ModelInvalid, match=r"Vosk cannot load .*damaged"):
        ENGINE.open(partial, 0)
