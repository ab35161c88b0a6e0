#!/usr/bin/env python3
"""Converts a Whisper model from CTranslate2's files to the ggml file that whisper.cpp reads.

contrib/dev/whisper_to_ggml.py DIRECTORY FILE

DIRECTORY has model.bin and tokenizer.json, as faster-whisper uses them. The tensors are the same; only the container and
their names change, and parts that CTranslate2 joins are separated. Matrices are written in fp16, as in the published files:
whisper.cpp does not run fp32 on the CPU. Weights in int8 are divided by their scales first. The program needs numpy and coldvoxd, and no network.

Sources of the formats: CTranslate2's `python/ctranslate2/specs/model_spec.py` (binary version 6), and whisper.cpp's
`models/convert-h5-to-ggml.py` and `whisper_model_load`.
"""

import argparse
import json
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.features import mel_filterbank  # noqa: E402 - the checkout's own

Array = npt.NDArray[Any]
Tensors = dict[str, Array]

BINARY_VERSION = 6
DTYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
"""numpy's names of CTranslate2's data types; bfloat16 (5) has none."""
MAGIC = 0x67676D6C
FP16 = 1
"""ggml's number of the data type."""
FFT_SAMPLES = 400
FIRST_MULTILINGUAL = 51_865
"""Vocabularies of at least this size are multilingual."""
END_OF_TEXT = 50_257
"""Number of the first special token of multilingual models, and of text tokens before it; one less for English models."""
ALWAYS_FP32 = frozenset(
    {
        "encoder.positional_embedding",
        "decoder.positional_embedding",
        "encoder.conv1.bias",
        "encoder.conv2.bias",
    }
)


class NotConvertible(Exception):
    """The directory is no Whisper model in CTranslate2's format. The message says why."""


def read_model(path: Path) -> Tensors:
    """Return the variables of a `model.bin` by name; aliases have entries of their own. Raises NotConvertible."""
    with path.open("rb") as file:
        version = _number(file, "I")
        if version != BINARY_VERSION:
            raise NotConvertible(f"{path} has binary version {version}, and only {BINARY_VERSION} is known")
        kind = _string(file)
        if kind != "WhisperSpec":
            raise NotConvertible(f"{path} is a {kind}, not a WhisperSpec")
        _number(file, "I")  # the revision of the specification: it changes options, not tensors
        tensors = dict(_variable(file) for _ in range(_number(file, "I")))
        for _ in range(_number(file, "I")):
            alias, name = _string(file), _string(file)
            tensors[alias] = tensors[name]
    return {name: _dequantized(name, tensors) for name in tensors if not name.endswith("_scale")}


def _variable(file: BinaryIO) -> tuple[str, Array]:
    name = _string(file)
    shape = [_number(file, "I") for _ in range(_number(file, "B"))]
    kind, size = _number(file, "B"), _number(file, "I")
    if kind not in DTYPES:
        raise NotConvertible(f"{name} has data type {kind}, which is unknown")
    return name, np.frombuffer(file.read(size), DTYPES[kind]).reshape(shape)


def _dequantized(name: str, tensors: Mapping[str, Array]) -> Array:
    """Return a tensor as floats. A quantized row is its integers divided by the row's scale."""
    tensor = tensors[name]
    scale = tensors.get(f"{name}_scale")
    return tensor if scale is None else tensor.astype(np.float32) / scale.astype(np.float32)[:, None]


def renamed(source: Tensors) -> Tensors:
    """Return the tensors under whisper.cpp's names, with joined projections separated."""
    found: Tensors = {}
    for side, last_norm in (("encoder", "ln_post"), ("decoder", "ln")):
        found[f"{side}.positional_embedding"] = source[f"{side}/position_encodings/encodings"]
        found |= _norm(source, f"{side}/layer_norm", f"{side}.{last_norm}")
        for layer in range(_layers(source, side)):
            ours, theirs = f"{side}.blocks.{layer}", f"{side}/layer_{layer}"
            found |= _norm(source, f"{theirs}/self_attention/layer_norm", f"{ours}.attn_ln")
            query, key, value = _parts(source, f"{theirs}/self_attention/linear_0", 3)
            found |= _attention(f"{ours}.attn", query, key, value)
            found |= _linear(source, f"{theirs}/self_attention/linear_1", f"{ours}.attn.out")
            if side == "decoder":
                found |= _norm(source, f"{theirs}/attention/layer_norm", f"{ours}.cross_attn_ln")
                (query,) = _parts(source, f"{theirs}/attention/linear_0", 1)
                key, value = _parts(source, f"{theirs}/attention/linear_1", 2)
                found |= _attention(f"{ours}.cross_attn", query, key, value)
                found |= _linear(source, f"{theirs}/attention/linear_2", f"{ours}.cross_attn.out")
            found |= _norm(source, f"{theirs}/ffn/layer_norm", f"{ours}.mlp_ln")
            found |= _linear(source, f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
            found |= _linear(source, f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")
    for conv in ("conv1", "conv2"):
        found[f"encoder.{conv}.weight"] = source[f"encoder/{conv}/weight"]
        found[f"encoder.{conv}.bias"] = source[f"encoder/{conv}/bias"][:, None]
    found["decoder.token_embedding.weight"] = source["decoder/embeddings/weight"]
    return found


def _layers(source: Tensors, side: str) -> int:
    return len({name.split("/")[1] for name in source if name.startswith(f"{side}/layer_") and name.count("/") > 2})


def _norm(source: Tensors, theirs: str, ours: str) -> Tensors:
    return {f"{ours}.weight": source[f"{theirs}/gamma"], f"{ours}.bias": source[f"{theirs}/beta"]}


def _linear(source: Tensors, theirs: str, ours: str) -> Tensors:
    return {f"{ours}.weight": source[f"{theirs}/weight"], f"{ours}.bias": source[f"{theirs}/bias"]}


def _parts(source: Tensors, theirs: str, count: int) -> list[tuple[Array, Array]]:
    """Return weight and bias of each of the projections that are joined in one."""
    return list(
        zip(np.split(source[f"{theirs}/weight"], count), np.split(source[f"{theirs}/bias"], count), strict=True)
    )


def _attention(ours: str, query: tuple[Array, Array], key: tuple[Array, Array], value: tuple[Array, Array]) -> Tensors:
    """Return the projections of an attention; a key has no bias in Whisper."""
    if np.any(key[1]):
        raise NotConvertible(f"{ours}.key has a bias, which whisper.cpp has no tensor for")
    return {
        f"{ours}.query.weight": query[0],
        f"{ours}.query.bias": query[1],
        f"{ours}.key.weight": key[0],
        f"{ours}.value.weight": value[0],
        f"{ours}.value.bias": value[1],
    }


def read_vocabulary(path: Path, count: int) -> list[bytes]:
    """Return the bytes of the first `count` tokens of a `tokenizer.json`, in the order of their numbers."""
    by_number = {number: token for token, number in json.loads(path.read_text("utf-8"))["model"]["vocab"].items()}
    decoder = {character: byte for byte, character in _byte_characters().items()}
    return [bytes(decoder[character] for character in by_number[number]) for number in range(count)]


def _byte_characters() -> dict[int, str]:
    """Return the character that stands for each byte in the vocabulary of GPT-2's byte pair encoding."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


def write_ggml(target: Path, source: Tensors, vocabulary: list[bytes]) -> None:
    """Write whisper.cpp's file. `source` are the tensors under CTranslate2's names."""
    vocabulary_size, width = source["decoder/embeddings/weight"].shape
    bins = source["encoder/conv1/weight"].shape[1]
    filters = mel_filterbank(bins, FFT_SAMPLES).T
    with target.open("wb") as file:
        file.write(
            struct.pack(
                "<12i",
                MAGIC,
                vocabulary_size,
                len(source["encoder/position_encodings/encodings"]),
                width,
                int(source["encoder/num_heads"]),
                _layers(source, "encoder"),
                len(source["decoder/position_encodings/encodings"]),
                width,
                int(source["decoder/num_heads"]),
                _layers(source, "decoder"),
                bins,
                FP16,
            )
        )
        file.write(struct.pack("<2i", *filters.shape) + np.ascontiguousarray(filters, "<f4").tobytes())
        file.write(struct.pack("<i", len(vocabulary)))
        for token in vocabulary:
            file.write(struct.pack("<i", len(token)) + token)
        for part in _written(renamed(source)):
            file.write(part)


def _written(tensors: Tensors) -> Iterator[bytes]:
    for name, tensor in tensors.items():
        in_fp32 = tensor.ndim < 2 or name in ALWAYS_FP32
        yield struct.pack("<3i", tensor.ndim, len(name), int(not in_fp32))
        yield struct.pack(f"<{tensor.ndim}i", *reversed(tensor.shape)) + name.encode()
        yield np.ascontiguousarray(tensor, "<f4" if in_fp32 else "<f2").tobytes()


def convert(directory: Path, target: Path) -> None:
    """Convert the model in a directory. Raises NotConvertible or OSError."""
    tensors = read_model(directory / "model.bin")
    size = len(tensors["decoder/embeddings/weight"])
    texts = END_OF_TEXT - (size < FIRST_MULTILINGUAL)
    partial = target.with_name(f"{target.name}.partial")
    write_ggml(partial, tensors, read_vocabulary(directory / "tokenizer.json", texts))
    partial.replace(target)


def _number(file: BinaryIO, kind: str) -> int:
    return int(struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))[0])


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="directory with model.bin and tokenizer.json")
    parser.add_argument("target", type=Path, metavar="FILE", help="the file to write, such as ggml-base.bin")
    arguments = parser.parse_args()
    try:
        convert(arguments.directory, arguments.target)
    except (NotConvertible, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
