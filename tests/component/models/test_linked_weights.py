"""Weights that are links: what loads, what is refused with a reason, and what is converted."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import hear
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.layout import model_files
from coldvoxd.models.precision_build import convert

GRAPHS = ("encoder-model.onnx", "decoder_joint-model.onnx")
SMALL = ("vocab.txt", "config.json")


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model with its weights in files beside the graphs, as the published models have them."""
    place = tmp_path_factory.mktemp("blobs")
    for name in GRAPHS:
        onnx.save(
            onnx.load(str(bundled_directory() / name)),
            str(place / name),
            save_as_external_data=True,
            location=f"{name}.data",
            size_threshold=0,
        )
    for name in SMALL:
        shutil.copy(bundled_directory() / name, place)
    return place


def layout(kind: str, blobs: Path, place: Path) -> Path:
    """Make a model directory of this kind below `place`."""
    directory = place / kind
    directory.mkdir()
    for blob in blobs.iterdir():
        is_weights = blob.suffix == ".data"
        match kind:
            case "hub cache":  # as huggingface_hub stores a repository
                (directory / blob.name).symlink_to(os.path.relpath(blob, directory))
            case "hard links":
                os.link(blob, directory / blob.name)
            case "linked weights" if is_weights:
                (directory / blob.name).symlink_to(blob)
            case "linked graphs" if blob.suffix == ".onnx":
                (directory / blob.name).symlink_to(blob)
            case "apart" if is_weights:
                (place / "weights").mkdir(exist_ok=True)
                shutil.copy(blob, place / "weights")
                (directory / blob.name).symlink_to(place / "weights" / blob.name)
            case "apart":
                (directory / blob.name).symlink_to(blob)
            case _:
                shutil.copy(blob, directory)
    return directory


def unchecked(directory: Path) -> ModelFiles:
    bundled = model_files("mini", bundled_directory(), Precision.FP32)
    encoder, decoder_joint = (directory / name for name in GRAPHS)
    vocabulary, config = (directory / name for name in SMALL)
    return replace(
        bundled, directory=directory, encoder=encoder, decoder=(decoder_joint,), vocabulary=vocabulary, config=config
    )


@pytest.mark.parametrize("kind", ["hub cache", "hard links", "linked graphs", "copies"])
def test_what_passes_the_check_loads(kind: str, blobs: Path, tmp_path: Path) -> None:
    directory = layout(kind, blobs, tmp_path)
    ParakeetRecognizer.open(model_files("mini", directory, Precision.FP32)).close()


@pytest.mark.parametrize("kind", ["linked weights", "apart"])
def test_what_onnx_runtime_refuses_is_refused_by_the_check_with_a_reason(
    kind: str, blobs: Path, tmp_path: Path
) -> None:
    directory = layout(kind, blobs, tmp_path)
    with pytest.raises(ModelInvalid, match="External data path"):
        ParakeetRecognizer.open(unchecked(directory))
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx\.data is a link to .*: copy the file there, or link"):
        model_files("mini", directory, Precision.FP32)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
@pytest.mark.parametrize("kind", ["hub cache", "hard links"])
def test_links_are_converted_and_left_as_they_are(kind: str, precision: Precision, blobs: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in blobs.iterdir()}
    directory = layout(kind, blobs, tmp_path)
    made = convert(model_files("mini", directory, Precision.FP32), precision, hear)
    assert made.directory == directory
    assert not made.encoder.is_symlink()
    assert {path.name: path.read_bytes() for path in blobs.iterdir()} == before
    ParakeetRecognizer.open(made).close()
