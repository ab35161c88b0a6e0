"""The converter of Whisper models from CTranslate2's files to whisper.cpp's."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.features import mel_filterbank
from coldvoxd.core.values import EndReason, Precision, Utterance
from coldvoxd.engines.whisper import ENGINE
from coldvoxd.engines.whisper.ggml_file import read_ggml
from contrib.dev.whisper_to_ggml import FFT_SAMPLES, NotConvertible, convert, read_model, renamed

WIDTH, VOCABULARY, TEXTS = 64, 51_864, 50_256
KINDS = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}
Array = npt.NDArray[Any]


def random_model() -> dict[str, Array]:
    """A small English Whisper of random weights, under CTranslate2's names."""
    random = np.random.default_rng(0)

    def of(*shape: int) -> Array:
        return random.normal(0, 0.05, shape).astype(np.float32)

    def norm(name: str) -> dict[str, Array]:
        return {f"{name}/gamma": np.ones(WIDTH, np.float32), f"{name}/beta": of(WIDTH)}

    def linear(name: str, rows: int, columns: int = WIDTH) -> dict[str, Array]:
        return {f"{name}/weight": of(rows, columns), f"{name}/bias": of(rows)}

    tensors: dict[str, Array] = {"decoder/embeddings/weight": of(VOCABULARY, WIDTH)}
    for side, length in (("encoder", 1500), ("decoder", 448)):
        layer = f"{side}/layer_0"
        tensors |= {
            f"{side}/position_encodings/encodings": of(length, WIDTH),
            f"{side}/num_heads": np.array(1, np.int16),
        }
        tensors |= (
            norm(f"{side}/layer_norm") | norm(f"{layer}/self_attention/layer_norm") | norm(f"{layer}/ffn/layer_norm")
        )
        tensors |= linear(f"{layer}/self_attention/linear_0", 3 * WIDTH) | linear(
            f"{layer}/self_attention/linear_1", WIDTH
        )
        tensors |= linear(f"{layer}/ffn/linear_0", 4 * WIDTH) | linear(f"{layer}/ffn/linear_1", WIDTH, 4 * WIDTH)
        tensors[f"{layer}/self_attention/linear_0/bias"][WIDTH : 2 * WIDTH] = 0  # a key has none
    layer = "decoder/layer_0/attention"
    tensors |= norm(f"{layer}/layer_norm") | linear(f"{layer}/linear_0", WIDTH) | linear(f"{layer}/linear_2", WIDTH)
    tensors |= linear(f"{layer}/linear_1", 2 * WIDTH)
    tensors[f"{layer}/linear_1/bias"][:WIDTH] = 0
    tensors |= {"encoder/conv1/weight": of(WIDTH, 80, 3), "encoder/conv1/bias": of(WIDTH)}
    tensors |= {"encoder/conv2/weight": of(WIDTH, WIDTH, 3), "encoder/conv2/bias": of(WIDTH)}
    return tensors


def write(directory: Path, tensors: dict[str, Array], kind: str = "WhisperSpec", version: int = 6) -> None:
    """Write CTranslate2's files."""

    def text(words: str) -> bytes:
        return struct.pack("<H", len(words) + 1) + words.encode() + b"\0"

    parts = [struct.pack("<I", version), text(kind), struct.pack("<II", 3, len(tensors))]
    for name, value in tensors.items():
        tensor = np.asarray(value)
        shape = struct.pack(f"<B{tensor.ndim}I", tensor.ndim, *tensor.shape)
        parts += [text(name), shape, struct.pack("<BI", KINDS[tensor.dtype.name], tensor.nbytes), tensor.tobytes()]
    parts += [struct.pack("<I", 1), text("decoder/projection/weight"), text("decoder/embeddings/weight")]
    (directory / "model.bin").write_bytes(b"".join(parts))
    vocabulary = {f"{number:x}": number for number in range(TEXTS)} | {"<|endoftext|>": TEXTS}
    vocabulary |= {"\u0120word": vocabulary.pop("0"), "\u0120": vocabulary.pop("1")}
    (directory / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))


def quantized(tensors: dict[str, Array]) -> dict[str, Array]:
    """The model as CTranslate2 stores it in int8: each row of a matrix with a scale."""
    found: dict[str, Array] = {}
    for name, tensor in tensors.items():
        if name.endswith("weight") and np.ndim(tensor) == 2:
            scale = (127 / np.abs(tensor).max(axis=1)).astype(np.float32)
            found |= {name: np.round(tensor * scale[:, None]).astype(np.int8), f"{name}_scale": scale}
        else:
            found[name] = tensor
    return found


@pytest.fixture(scope="module")
def model() -> dict[str, Array]:
    return random_model()


def test_whisper_cpp_runs_what_the_command_writes(tmp_path: Path, model: dict[str, Array]) -> None:
    write(tmp_path, model)
    file = tmp_path / "ggml.bin"
    script = Path(__file__).parents[2] / "contrib/dev/whisper_to_ggml.py"
    subprocess.run([sys.executable, str(script), str(tmp_path), str(file)], check=True)
    assert read_ggml(file).precision is Precision.FP16
    assert not read_ggml(file).is_multilingual
    assert b"\x05\0\0\0 word" in file.read_bytes()[:100_000]
    recognizer = ENGINE.open(file, 1)
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    recognizer.recognize(Utterance(1, 1, 0, noise, EndReason.ENDPOINT))  # random weights say anything
    recognizer.close()


def test_weights_in_int8_are_those_of_their_scales(tmp_path: Path, model: dict[str, Array]) -> None:
    write(tmp_path, quantized(model))
    found, exact = renamed(read_model(tmp_path / "model.bin")), renamed(model)
    assert found.keys() == exact.keys()
    assert len(found) == 11 + 15 + 24
    for name, tensor in exact.items():
        assert np.abs(found[name] - tensor).max() <= np.abs(tensor).max() / 127 / 2 + 1e-6, name
    convert(tmp_path, tmp_path / "ggml.bin")
    assert read_ggml(tmp_path / "ggml.bin").precision is Precision.FP16


def test_joined_projections_are_separated(model: dict[str, Array]) -> None:
    found = renamed(model)
    joined = model["decoder/layer_0/attention/linear_1/weight"]
    assert np.array_equal(found["decoder.blocks.0.cross_attn.key.weight"], joined[:WIDTH])
    assert np.array_equal(found["decoder.blocks.0.cross_attn.value.weight"], joined[WIDTH:])
    assert "decoder.blocks.0.cross_attn.key.bias" not in found


def test_mel_filters_are_those_of_whisper() -> None:
    """Their sums and extremes in openai/whisper's assets/mel_filters.npz, which librosa computed."""
    filters = mel_filterbank(80, FFT_SAMPLES).T
    assert filters.shape == (80, 201)
    assert filters[0, 1] == pytest.approx(0.02486259, abs=1e-6)
    assert filters.max() == pytest.approx(0.02588, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "version", "said"), [("TransformerSpec", 6, "not a WhisperSpec"), ("WhisperSpec", 9, "binary version 9")]
)
def test_another_model_is_refused(tmp_path: Path, kind: str, version: int, said: str) -> None:
    write(tmp_path, {}, kind, version)
    with pytest.raises(NotConvertible, match=said):
        convert(tmp_path, tmp_path / "ggml.bin")
    assert not (tmp_path / "ggml.bin").exists()
