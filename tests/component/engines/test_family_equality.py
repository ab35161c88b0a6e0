"""Each kind of Parakeet gives onnx-asr's tokens, with models that are made of the bundled one."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.models.family import write_ctc, write_rnnt, write_tdt, write_with_bins
from tests.support.models.peers import compared
from tests.support.sound.speech import samples, variations

MODELS: dict[str, Callable[[Path], Path]] = {
    "RNN-T": write_rnnt,
    "RNN-T that repeats tokens": partial(write_rnnt, fitted=False),
    "RNN-T of 80 bins": partial(write_with_bins, write=write_rnnt, bins=80),
    "TDT of 80 bins": partial(write_with_bins, write=write_tdt, bins=80),
    "CTC": write_ctc,
    "CTC of 80 bins": partial(write_ctc, bins=80),
}
CLIPS = 8
"""Every eighth of the 216 variations."""


@pytest.mark.heavy
@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_those_of_the_peer(name: str, tmp_path: Path) -> None:
    equality = compared(MODELS[name](tmp_path / "model"), Precision.FP32, list(variations())[::CLIPS])
    assert equality.tokens > 100
    assert equality.parted == ()
    assert len(equality.parted_alone) <= 1, "a nearly constant bin of telephone speech, see test_equality"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_limit_of_tokens_is_that_of_the_peer(limit: int, tmp_path: Path) -> None:
    directory = write_rnnt(tmp_path / "model", fitted=False)
    configuration = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(configuration | {"max_tokens_per_step": limit}))
    equality = compared(directory, Precision.FP32, [(sample.name, sample.wave()) for sample in samples()[:4]])
    assert equality.tokens > 20
    assert equality.parted == equality.parted_alone == ()


@pytest.mark.parametrize(("kind", "write"), [(ModelKind.RNNT, write_rnnt), (ModelKind.CTC, write_ctc)])
def test_each_kind_recognizes_what_the_tdt_recognizes(
    kind: ModelKind, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    recognizer = ParakeetRecognizer.open(find_model(str(write(tmp_path / "model")), Precision.FP32), threads=1)
    tdt = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    assert (recognizer.kind, tdt.kind) == (kind, ModelKind.TDT)
    ends = []
    for sample in samples():
        one, other = recognizer.recognize_samples(sample.wave()), tdt.recognize_samples(sample.wave())
        assert one.text == other.text
        assert [word.text for word in one.words] == [word.text for word in other.words]
        assert all(0.5 < word.confidence <= 1.0 for word in one.words)
        ends += [abs(a.end_s - b.end_s) for a, b in zip(one.words, other.words, strict=True)]
    assert len(ends) > 60
    assert max(ends) <= 0.32, "a token without a duration lasts until the next one, at most as long as a TDT's"
