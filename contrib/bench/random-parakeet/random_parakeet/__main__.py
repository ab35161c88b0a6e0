"""Builds the model: python -m random_parakeet DIRECTORY --speech FILE."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_asr
import soundfile
import torch
from nemo.collections.asr.models import EncDecRNNTModel
from omegaconf import OmegaConf

from random_parakeet import architecture, head, layout, rounded

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="random_parakeet", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the model goes, 3.2 GB")
    parser.add_argument(
        "--speech", type=Path, nargs="+", required=True, help="recordings of a few seconds each, 16 kHz"
    )
    arguments = parser.parse_args()
    waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in arguments.speech]
    waves.append(torch.cat(waves))
    with tempfile.TemporaryDirectory(dir=arguments.directory.parent) as folder:
        features = export(waves, Path(folder))
        layout.write(Path(folder), arguments.directory, architecture.PIECES)
    rounded.tune(arguments.directory, features, blank=architecture.PIECES)
    for quantization in (None, "int8"):
        report(arguments.directory, quantization, waves[-1])


def export(waves: Sequence[torch.Tensor], directory: Path) -> list[npt.NDArray[np.float32]]:
    """Export random weights with NeMo's exporter; return the waves' features, float32 (1, bins, columns) each."""
    torch.manual_seed(SEED)
    model = EncDecRNNTModel(cfg=OmegaConf.create(architecture.configuration()))
    model.eval()
    print(f"{sum(weights.numel() for weights in model.parameters()) / 1e6:.1f} million parameters", flush=True)
    head.tune(model, waves, blank=architecture.PIECES)
    features = [head.features(model, wave)[0].numpy() for wave in waves]
    model.export(str(directory / "model.onnx"), verbose=False)
    return features


def report(directory: Path, quantization: str | None, wave: torch.Tensor) -> None:
    """Report how the reference decodes it: a trained model emits three to four tokens per second of speech."""
    model = onnx_asr.load_model(
        "nemo-conformer-tdt", path=directory, quantization=quantization, providers=["CPUExecutionProvider"]
    )
    heard = model.with_timestamps().recognize(wave.numpy())
    tokens = heard.tokens or []
    seconds = len(wave) / architecture.SAMPLE_RATE
    print(
        f"{quantization or 'fp32'}: {len(tokens)} tokens of {len(set(tokens))} kinds in {seconds:.1f} s of speech",
        flush=True,
    )


if __name__ == "__main__":
    main()
