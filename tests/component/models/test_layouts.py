"""Directories as models are published and cached: names of files, weights beside graphs, links, and models of other kinds."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import hear
from coldvoxd.models import find_model
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.layout import precisions
from coldvoxd.models.precision_build import convert
from coldvoxd.preparation.prepare import prepare
from tests.support.models.family import with_weights_beside, write_ctc, write_rnnt, write_tdt
from tests.support.models.tiny_graphs import write_tiny_parakeet
from tests.support.sound.speech import samples

PLENTY = 1e9


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def opened(files: ModelFiles) -> Iterator[str]:
    """Yield the text of each of three samples."""
    recognizer = ParakeetRecognizer.open(files, threads=1)
    for sample in samples()[:3]:
        yield recognizer.recognize_samples(sample.wave()).text
    recognizer.close()


def heard(precision: Precision) -> list[str]:
    return [sample.heard[precision] for sample in samples()[:3]]


def mini_copy(directory: Path) -> Path:
    """The bundled model in both precisions."""
    directory.mkdir()
    for path in bundled_directory().iterdir():
        if path.suffix in {".onnx", ".txt", ".json"}:
            shutil.copy(path, directory)
    return directory


@pytest.mark.parametrize("separator", [".", "-", "_"])
def test_a_precision_may_be_separated_as_onnx_asr_allows(separator: str, tmp_path: Path) -> None:
    directory = mini_copy(tmp_path / "model")
    for path in directory.glob("*.int8.onnx"):
        path.rename(path.with_name(path.name.replace(".int8.onnx", f"{separator}int8.onnx")))
    assert precisions(directory) == (Precision.FP32, Precision.INT8)
    files = find_model(str(directory), Precision.INT8)
    assert files.encoder.name == f"encoder-model{separator}int8.onnx"
    assert [*opened(files)] == heard(Precision.INT8)


def test_an_encoder_in_int8_may_have_a_decoder_in_fp32(tmp_path: Path) -> None:
    directory = mini_copy(tmp_path / "model")
    (directory / "decoder_joint-model.int8.onnx").unlink()
    (directory / "encoder-model.onnx").unlink()
    assert precisions(directory) == (Precision.INT8,)
    files = find_model(str(directory), Precision.INT8)
    assert [path.name for path in files.decoder] == ["decoder_joint-model.onnx"]
    assert [*opened(files)] == heard(Precision.FP32)
    with pytest.raises(ModelInvalid, match=r"lacks encoder-model\.onnx; it has precision int8"):
        find_model(str(directory), Precision.FP32)


def test_a_decoder_in_int8_needs_its_encoder(tmp_path: Path) -> None:
    directory = mini_copy(tmp_path / "model")
    (directory / "encoder-model.int8.onnx").unlink()
    assert precisions(directory) == (Precision.FP32,)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
@pytest.mark.parametrize("suffix", [".data", "_data", ".weights"])
def test_each_precision_may_have_its_weights_beside_it_under_any_name(
    suffix: str, precision: Precision, tmp_path: Path
) -> None:
    directory = with_weights_beside(mini_copy(tmp_path / "model"), suffix)
    files = find_model(str(directory), precision)
    assert [*opened(files)] == heard(precision)
    (directory / f"{files.decoder[0].name}{suffix}").unlink()
    with pytest.raises(ModelInvalid, match=rf"{files.decoder[0].name}{suffix} is missing"):
        find_model(str(directory), precision)


def test_graphs_may_have_the_names_of_nemos_export(tmp_path: Path) -> None:
    directory = write_rnnt(tmp_path / "model")
    (directory / "encoder-model.onnx").rename(directory / "encoder.onnx")
    (directory / "decoder_joint-model.onnx").rename(directory / "decoder_joint.onnx")
    (directory / "config.json").unlink()
    pieces = [line.split(" ")[0] for line in (directory / "vocab.txt").read_text().splitlines()]
    (directory / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces[:-1]))
    assert [*opened(find_model(str(directory), Precision.FP32))] == heard(Precision.FP32)


def test_the_configuration_chooses_between_a_transducer_and_ctc(tmp_path: Path) -> None:
    directory = write_tdt(tmp_path / "model")
    shutil.copy(write_ctc(tmp_path / "ctc") / "model.onnx", directory)

    def kind() -> ModelKind:
        return ParakeetRecognizer.open(find_model(str(directory), Precision.FP32), threads=1).kind

    assert kind() is ModelKind.TDT
    (directory / "config.json").write_text('{"model_type": "nemo-conformer-ctc"}')
    assert kind() is ModelKind.CTC


def hub_cache(root: Path, model: Path, *, linked: str) -> Path:
    """Store a model as huggingface_hub does: a blob by its hash for each file, and a link to it in the snapshot."""
    repository = root / "models--someone--parakeet-onnx"
    snapshot = repository / "snapshots" / ("0123456789" * 4)
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for path in model.iterdir():
        blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copy(path, blob)
        if linked == "symbolic":
            (snapshot / path.name).symlink_to(os.path.relpath(blob, snapshot))
        else:
            os.link(blob, snapshot / path.name)
    return snapshot


@pytest.mark.parametrize("linked", ["symbolic", "hard"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_snapshot_of_the_hubs_cache_is_opened_and_prepared(precision: Precision, linked: str, tmp_path: Path) -> None:
    model = with_weights_beside(mini_copy(tmp_path / "model"))
    files = find_model(str(hub_cache(tmp_path / "hub", model, linked=linked)), precision)
    assert [*opened(files)] == heard(precision)
    form = prepare(files, budget_bytes=PLENTY)
    recognizer = ParakeetRecognizer.open(files, prepared=form)
    assert [recognizer.recognize_samples(sample.wave()).text for sample in samples()[:3]] == heard(precision)


@pytest.mark.parametrize("linked", ["symbolic", "hard"])
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_snapshot_of_the_hubs_cache_is_converted(precision: Precision, linked: str, tmp_path: Path) -> None:
    snapshot = hub_cache(tmp_path / "hub", with_weights_beside(write_tdt(tmp_path / "model")), linked=linked)
    made = convert(find_model(str(snapshot), Precision.FP32), precision, hear)
    assert len([*opened(made)]) == len(heard(Precision.INT8))


FOREIGN = {
    "Canary": (("encoder-model.onnx", "decoder-model.onnx", "vocab.txt"), "Canary model, which decodes with attention"),
    "GigaAM": (("v3_e2e_rnnt_encoder.onnx", "v3_e2e_rnnt_vocab.txt"), "a GigaAM model"),
    "Whisper": (("encoder_model.onnx", "decoder_model_merged.onnx", "vocab.json"), "Whisper or another model"),
    "Whisper for sherpa-onnx": (("tiny.en-encoder.int8.onnx", "tiny.en-decoder.int8.onnx"), "a Whisper model"),
    "whisper.cpp": (("ggml-base.en.bin",), r"a Whisper model of whisper\.cpp"),
    "CTranslate2": (("model.bin", "tokenizer.json"), "a Whisper model of CTranslate2"),
    "Moonshine": (("preprocess.onnx", "encode.int8.onnx", "tokens.txt"), "a Moonshine model"),
    "Zipformer": (("encoder-epoch-99-avg-1.onnx", "tokens.txt"), "a Zipformer"),
    "Vosk": (("final.mdl", "mfcc.conf"), "a Vosk model"),
    "GGUF": (("parakeet-tdt-0.6b-v3-q8_0.gguf",), "a GGUF model"),
    "NeMo": (("parakeet-tdt-0.6b-v2.nemo",), "a checkpoint of NeMo, which must be exported"),
    "ORT": (("encoder-model.ort", "decoder_joint-model.ort", "vocab.txt"), r"take the \.onnx files"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_directory_of_another_kind_is_named(name: str, tmp_path: Path) -> None:
    names, kind = FOREIGN[name]
    for file in names:
        (tmp_path / file).touch()
    with pytest.raises(ModelInvalid, match=f"has .*{kind}.*coldvoxd runs offline ONNX exports of Parakeet"):
        find_model(str(tmp_path), Precision.FP32)


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [
        ("nemo-conformer-aed", "Canary"),
        ("gigaam-v3-e2e-ctc", "GigaAM"),
        ("gigaam-multilingual-ctc", "GigaAM"),
        ("whisper", "Whisper"),
        ("parakeet_ctc", "Parakeet in the layout of transformers"),
        ("vosk", "Zipformer"),
    ],
)
def test_a_model_type_of_another_kind_is_named(model_type: str, kind: str, tmp_path: Path) -> None:
    directory = write_tiny_parakeet(tmp_path / "model")
    (directory / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(ModelInvalid, match=f"has a {kind}.*model_type '{model_type}'.*coldvoxd runs offline"):
        find_model(str(directory), Precision.FP32)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"cache_last_channel": ["b", 17, 512]}, "is of a cache-aware streaming model, such as Nemotron"),
        ({"x_lens": ["n"]}, "is of a Zipformer"),
        ({"audio_signal": ["b", 80, 80]}, r"takes exactly 80 columns of features, 0\.8 s"),
    ],
)
def test_an_encoder_of_another_kind_is_named(
    changed: dict[str, list[int | str]], complaint: str, tmp_path: Path
) -> None:
    path = write_tiny_parakeet(tmp_path / "model") / "encoder-model.onnx"
    model = onnx.load(str(path))
    for name, shape in changed.items():
        kept = [value for value in model.graph.input if value.name != name]
        del model.graph.input[:]
        model.graph.input.extend([*kept, helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)])
    onnx.save(model, str(path))
    with pytest.raises(ModelInvalid, match=complaint):
        ParakeetRecognizer.open(find_model(str(tmp_path / "model"), Precision.FP32), threads=1)
