"""Writes an exported model in the layout of istupakov/parakeet-tdt-0.6b-v2-onnx, in float32 and int8."""

import json
import string
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

ENCODER, DECODER = "encoder-model.onnx", "decoder_joint-model.onnx"
EXTERNAL_FROM_BYTES = 1024
"""Constants of at least this size go into the weights file beside the encoder, since a protobuf is limited to 2 GB."""
WORD_START = "\u2581"


def write(exported: Path, directory: Path, pieces: int) -> None:
    """Convert NeMo's export to the six files, replacing those in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    weights = directory / f"{ENCODER}.data"
    weights.unlink(missing_ok=True)
    onnx.save(
        onnx.load(exported / ENCODER),
        directory / ENCODER,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=weights.name,
        size_threshold=EXTERNAL_FROM_BYTES,
    )
    onnx.save(onnx.load(exported / DECODER), directory / DECODER)
    write_vocabulary(directory / "vocab.txt", pieces)
    config = {"model_type": "nemo-conformer-tdt", "features_size": 128, "subsampling_factor": 8}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    quantize(directory)


def quantize(directory: Path) -> None:
    """Write the int8 files with the settings of the published ones. Takes 7.4 GB of memory."""
    for name, weight_type in ((DECODER, QuantType.QInt8), (ENCODER, QuantType.QUInt8)):
        quantize_dynamic(directory / name, directory / rounded(name), weight_type=weight_type)


def rounded(name: str) -> str:
    """Return the graph's file name in int8."""
    return name.replace(".onnx", ".int8.onnx")


def write_vocabulary(path: Path, pieces: int) -> None:
    """Write pieces of one to three letters, about half of which start a word; the blank is the last line."""
    letters = string.ascii_lowercase
    ours = [form + letter for letter in letters for form in (WORD_START, "")]
    ours += [(WORD_START if (ord(a) + ord(b)) % 2 else "") + a + b for a in letters for b in letters]
    ours += [*"0123456789.,?!'-"]
    ours += [a + b + c for a in letters for b in "aeiou" for c in "nst"]
    lines = ["<unk>", *ours[: pieces - 1], "<blk>"]
    path.write_text("".join(f"{piece} {number}\n" for number, piece in enumerate(lines)), encoding="utf-8")
