"""A model in other precisions, converted from its fp32 files by ONNX Runtime's own tools."""

import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from coldvoxd.core.errors import ConversionFault
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import hear
from coldvoxd.models.directories import bundled_directory, cache_directory, list_models
from coldvoxd.models.fp16 import write_half
from coldvoxd.models.layout import model_files, precisions
from coldvoxd.models.precision_build import _check_disk, _check_memory, convert, target_directory
from coldvoxd.models.precision_store import find_converted, provenance_path
from coldvoxd.native.opening import open_session
from tests.support.environment import environment
from tests.support.sound.speech import variations

MADE = (Precision.FP16, Precision.INT8)


@pytest.fixture
def model(tmp_path: Path) -> ModelFiles:
    """The bundled model's fp32 files in a separate directory."""
    place = tmp_path / "mini"
    place.mkdir()
    for name in ("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json"):
        shutil.copy(bundled_directory() / name, place)
    return model_files("mini", place, Precision.FP32)


@pytest.mark.parametrize("precision", MADE)
def test_what_is_made_is_whole_and_known_and_hears_what_fp32_hears(model: ModelFiles, precision: Precision) -> None:
    made = convert(model, precision, hear)
    assert made == model_files("mini", model.directory, precision)
    assert precisions(model.directory) == tuple(one for one in Precision if one in {Precision.FP32, precision})
    assert find_converted(str(model.directory), precision) == made
    assert [path.name for path in model.directory.iterdir() if path.name.startswith(".")] == []
    assert made.encoder.stat().st_size < model.encoder.stat().st_size / 1.9


@pytest.mark.heavy
def test_fp16_has_the_tokens_of_fp32_and_int8_nearly(model: ModelFiles) -> None:
    """Tests every sixth of the 216 clips; contrib/bench/precision.py counts them all."""
    clips = [wave for _, wave in variations()][::6]
    tokens = {}
    for precision in Precision:
        files = model if precision is Precision.FP32 else convert(model, precision, hear)
        recognizer = ParakeetRecognizer.open(files, threads=1)
        tokens[precision] = [[token.id for token in recognizer.recognize_samples(clip).tokens] for clip in clips]
        recognizer.close()
    assert tokens[Precision.FP16] == tokens[Precision.FP32]
    same = sum(one == other for one, other in zip(tokens[Precision.INT8], tokens[Precision.FP32], strict=True))
    assert same >= len(clips) / 2


def test_what_is_current_is_not_made_again_and_what_is_not_is(model: ModelFiles) -> None:
    made = convert(model, Precision.FP16, hear)

    def refuse(_: ModelFiles) -> str:
        raise AssertionError("it was made again")

    assert convert(model, Precision.FP16, refuse) == made
    model.decoder[0].touch()
    assert find_converted(str(model.directory), Precision.FP16) is None
    with pytest.raises(AssertionError, match="made again"):
        convert(model, Precision.FP16, refuse)
    assert convert(model, Precision.FP16, hear) == made
    assert find_converted(str(model.directory), Precision.FP16) == made
    provenance_path(model.directory, Precision.FP16).write_text("{")
    assert find_converted(str(model.directory), Precision.FP16) is None


def test_what_was_placed_by_hand_is_taken_as_it_is(model: ModelFiles) -> None:
    for part in ("encoder-model", "decoder_joint-model"):
        shutil.copy(bundled_directory() / f"{part}.int8.onnx", model.directory)
    files = find_converted(str(model.directory), Precision.INT8)
    assert files is not None
    assert files.directory == model.directory


@pytest.mark.parametrize("precision", MADE)
def test_what_hears_something_else_is_not_put_in_place(model: ModelFiles, precision: Precision) -> None:
    heard = iter(("something else entirely", "hello"))
    with pytest.raises(ConversionFault, match="recognizes other words"):
        convert(model, precision, lambda _: next(heard))
    assert precisions(model.directory) == (Precision.FP32,)
    assert len(list(model.directory.iterdir())) == 4


def test_a_directory_of_somebody_else_is_left_alone(model: ModelFiles, tmp_path: Path) -> None:
    """Converted files go into the cache, where they are found under the model's name."""
    with environment({"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        elsewhere = replace(model, directory=Path("/proc/1"), name="theirs")  # root can write to every real directory
        assert target_directory(elsewhere) == cache_directory() / "theirs"
        made = convert(elsewhere, Precision.FP16, hear)
        assert made.directory == cache_directory() / "theirs"
        assert find_converted("theirs", Precision.FP16) == made
        assert {path.name for path in made.directory.iterdir()} >= {"vocab.txt", "config.json"}


def test_the_package_is_left_as_it_is() -> None:
    assert target_directory(model_files("mini", bundled_directory(), Precision.FP32)) == cache_directory() / "mini"


def test_too_little_memory_and_too_little_disk_are_told_beforehand(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable:    6000000 kB\n")
    _check_memory(2_500_000_000, Precision.FP16, meminfo)
    with pytest.raises(ConversionFault, match=r"takes 8\.\d GB of memory, and 6\.1 GB are free"):
        _check_memory(2_500_000_000, Precision.INT8, meminfo)
    _check_disk(1, Precision.FP16, tmp_path)
    with pytest.raises(ConversionFault, match=r"of disk space, and .* Make room"):
        _check_disk(1 << 60, Precision.FP16, tmp_path)
    _check_disk(1, Precision.FP16, tmp_path / "not/yet")
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    "interrupted_by", [ConversionFault("too little"), KeyboardInterrupt(), OSError(28, "No space")]
)
def test_a_conversion_that_fails_or_is_interrupted_leaves_no_model(
    tmp_path: Path, interrupted_by: BaseException
) -> None:
    """The bundled model's other precisions go into the cache, where it has no directory before."""
    bundled = model_files("mini", bundled_directory(), Precision.FP32)

    def fail(_: ModelFiles) -> str:
        raise interrupted_by

    with environment({"XDG_CACHE_HOME": str(tmp_path)}):
        with pytest.raises((ConversionFault, KeyboardInterrupt)):
            convert(bundled, Precision.FP16, fail)
        assert [path.name for path in cache_directory().iterdir() if path.is_dir()] == []


def test_a_conversion_that_was_killed_leaves_no_model_and_the_next_one_removes_its_files(tmp_path: Path) -> None:
    bundled = model_files("mini", bundled_directory(), Precision.FP32)
    with environment({"XDG_CACHE_HOME": str(tmp_path)}):
        killed = multiprocessing.get_context("fork").Process(
            target=convert, args=(bundled, Precision.FP16, lambda _: os.kill(os.getpid(), signal.SIGKILL))
        )
        killed.start()
        killed.join()
        assert killed.exitcode == -signal.SIGKILL
        [left] = [path for path in cache_directory().iterdir() if path.is_dir()]
        assert left.name.startswith(".mini-fp16-")
        assert all(not found.directory.is_relative_to(tmp_path) for found in list_models())
        made = convert(bundled, Precision.FP16, hear)
        assert made == find_converted("mini", Precision.FP16)
        assert [path.name for path in cache_directory().iterdir() if path.is_dir()] == ["mini"]


def test_an_empty_directory_of_an_earlier_version_is_removed(tmp_path: Path) -> None:
    with environment({"XDG_CACHE_HOME": str(tmp_path)}):
        (cache_directory() / "mini").mkdir(parents=True)
        heard = iter(("something else entirely", "hello"))
        with pytest.raises(ConversionFault, match="recognizes other words"):
            convert(model_files("mini", bundled_directory(), Precision.FP32), Precision.FP16, lambda _: next(heard))
        assert not (cache_directory() / "mini").exists()


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        environment({"XDG_CACHE_HOME": str(tmp_path / "file")}),
        pytest.raises(ConversionFault, match="Not a directory"),
    ):
        convert(model_files("mini", bundled_directory(), Precision.FP32), Precision.FP16, hear)


def test_fp32_is_nothing_that_is_made(model: ModelFiles) -> None:
    with pytest.raises(ConversionFault, match="converted from fp32"):
        convert(model, Precision.FP32, hear)


def test_lengths_and_positions_stay_in_fp32(tmp_path: Path) -> None:
    """In float16 the 4001st column would be the 4000th: float16 counts exactly up to 2048."""
    columns = 4001
    length = onnx.helper.make_tensor_value_info("length", onnx.TensorProto.INT64, [1])
    signal = onnx.helper.make_tensor_value_info("audio_signal", onnx.TensorProto.FLOAT, [1])
    counted = onnx.helper.make_tensor_value_info("counted", onnx.TensorProto.INT64, [1])
    louder = onnx.helper.make_tensor_value_info("louder", onnx.TensorProto.FLOAT, [1])
    nodes = [
        onnx.helper.make_node(
            "Constant", [], ["third"], value=onnx.numpy_helper.from_array(np.array([3.0], np.float32))
        ),
        onnx.helper.make_node("Cast", ["length"], ["as_float"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", ["as_float", "third"], ["thrice"]),
        onnx.helper.make_node("Div", ["thrice", "third"], ["once"]),
        onnx.helper.make_node("Cast", ["once"], ["counted"], to=onnx.TensorProto.INT64),
        onnx.helper.make_node("Div", ["audio_signal", "once"], ["softer"]),
        onnx.helper.make_node("Mul", ["softer", "once"], ["louder"]),
    ]
    graph = onnx.helper.make_graph(nodes, "counting", [length, signal], [counted, louder])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / "counting.onnx"))
    write_half(tmp_path / "counting.onnx", tmp_path / "half.onnx")
    session = open_session(tmp_path / "half.onnx")
    feeds: dict[str, Any] = {"length": np.array([columns], np.int64), "audio_signal": np.array([0.5], np.float32)}
    found, _ = session.run(("counted", "louder"), feeds)
    assert found.tolist() == [columns]
