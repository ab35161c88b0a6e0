"""The trained model as ONNX files in Parakeet's layout, in fp32 and int8."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from mini_parakeet.checkpoint import load_model
from mini_parakeet.features import MEL_BINS
from mini_parakeet.model import LSTM_LAYERS, SUBSAMPLING, MiniParakeet
from mini_parakeet.tokenizer import Tokenizer, train_tokenizer

ENCODER = "encoder-model"
DECODER = "decoder_joint-model"
OPSET = 17
CONFIG = {"model_type": "nemo-conformer-tdt", "features_size": MEL_BINS, "subsampling_factor": SUBSAMPLING}

Axes = dict[str, dict[int, str]]


def _dynamic_axes(axes: dict[str, list[int]]) -> Axes:
    """Axis names as NeMo's exporter forms them."""
    return {
        tensor: {axis: f"{tensor}_dynamic_axes_{number}" for number, axis in enumerate(indices, 1)}
        for tensor, indices in axes.items()
    }


def export_encoder(model: MiniParakeet, path: Path) -> None:
    example = (torch.randn(2, MEL_BINS, 160), torch.tensor([160, 100]))
    axes = {"audio_signal": [0, 2], "length": [0], "outputs": [0, 2], "encoded_lengths": [0]}
    torch.onnx.export(
        model.encoder,
        example,
        str(path),
        input_names=["audio_signal", "length"],
        output_names=["outputs", "encoded_lengths"],
        dynamic_axes=_dynamic_axes(axes),
        opset_version=OPSET,
        dynamo=False,
    )


def export_decoder(model: MiniParakeet, path: Path) -> None:
    state = torch.zeros(LSTM_LAYERS, 2, model.settings.prediction)
    example = (
        torch.randn(2, model.settings.width, 3),
        torch.zeros(2, 4, dtype=torch.int32),
        torch.full((2,), 4, dtype=torch.int32),
        state,
        state,
    )
    axes = {
        "encoder_outputs": [0, 2],
        "targets": [0, 1],
        "target_length": [0],
        "input_states_1": [1],
        "input_states_2": [1],
        "outputs": [0, 1, 2],
        "prednet_lengths": [0],
        "output_states_1": [1],
        "output_states_2": [1],
    }
    torch.onnx.export(
        model.decoder,
        example,
        str(path),
        input_names=["encoder_outputs", "targets", "target_length", "input_states_1", "input_states_2"],
        output_names=["outputs", "prednet_lengths", "output_states_1", "output_states_2"],
        dynamic_axes=_dynamic_axes(axes),
        opset_version=OPSET,
        dynamo=False,
    )


def export(model: MiniParakeet, tokenizer: Tokenizer, out: Path) -> None:
    """Write all files of a model directory but the licence and the model card."""
    out.mkdir(parents=True, exist_ok=True)
    model.eval()
    export_encoder(model, out / f"{ENCODER}.onnx")
    export_decoder(model, out / f"{DECODER}.onnx")
    for name, kind in ((ENCODER, QuantType.QUInt8), (DECODER, QuantType.QInt8)):
        quantize_dynamic(out / f"{name}.onnx", out / f"{name}.int8.onnx", weight_type=kind)
    (out / "vocab.txt").write_text(tokenizer.vocabulary_file(), encoding="utf-8")
    (out / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="default: beside the checkpoint")
    arguments = parser.parse_args()
    tokenizer = train_tokenizer(arguments.tokenizer or arguments.checkpoint.parent / "tokenizer.model")
    export(load_model(arguments.checkpoint), tokenizer, arguments.out)
    for path in sorted(arguments.out.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.3f} MB  {path.name}")


if __name__ == "__main__":
    main()
