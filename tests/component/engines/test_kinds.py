"""What config.json, the graphs and the vocabulary say about the kind of a model, and contradictions between them."""

import json
from pathlib import Path

import pytest

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.models.family import write_rnnt, write_tdt
from tests.support.sound.speech import samples


def opened(directory: Path) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(directory), Precision.FP32), threads=1)


def configured(directory: Path, **changes: object) -> Path:
    """Change config.json; None removes a key."""
    path = directory / "config.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return directory


def test_the_decoder_of_an_rnnt_is_no_tdt(tmp_path: Path) -> None:
    directory = configured(write_rnnt(tmp_path / "model"), model_type="nemo-conformer-tdt")
    with pytest.raises(
        ModelInvalid,
        match=r"says model_type 'nemo-conformer-tdt', but .* of the kind RNN-T: it scores 385 classes for the 385 lines "
        r".*set model_type to 'nemo-conformer-rnnt'",
    ):
        opened(directory)


def test_the_decoder_of_a_tdt_is_no_rnnt(tmp_path: Path) -> None:
    directory = configured(write_tdt(tmp_path / "model"), model_type="nemo-conformer-rnnt")
    with pytest.raises(ModelInvalid, match=r"of the kind TDT: it scores 390 classes .*set model_type to"):
        opened(directory)


@pytest.mark.parametrize("kind", [ModelKind.RNNT, ModelKind.TDT])
@pytest.mark.parametrize("config", ["without a kind", "none"])
def test_the_graphs_decide_where_the_configuration_does_not(kind: ModelKind, config: str, tmp_path: Path) -> None:
    directory = (write_rnnt if kind is ModelKind.RNNT else write_tdt)(tmp_path / "model")
    if config == "none":
        (directory / "config.json").unlink()
    else:
        configured(directory, model_type=None, features_size=None)
    recognizer = opened(directory)
    assert (recognizer.kind, recognizer.features_size) == (kind, 128)
    assert recognizer.recognize_samples(samples()[0].wave()).text == samples()[0].said
