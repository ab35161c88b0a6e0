#!/usr/bin/env python3
"""Writes the manifest of the model `mini`: its checksums, and the reference's text of each sample recording.

    .venv/bin/python contrib/training/make_manifest.py

Run it after weights or samples change. The reference is onnx-asr, with the same session options as coldvoxd.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_asr
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.native.opening import session_options  # noqa: E402 - imported from this checkout, installed or not

MODEL = ROOT / "coldvoxd/data/mini"
WEIGHTS = ("*.onnx", "*.onnx.data", "vocab.txt", "config.json")


def heard_by_reference(samples: list[Path]) -> dict[str, dict[str, str]]:
    """Return the reference's texts by precision and file name."""
    heard: dict[str, dict[str, str]] = {}
    for precision, quantization in (("fp32", None), ("int8", "int8")):
        model = onnx_asr.load_model(
            "nemo-conformer-tdt",
            path=MODEL,
            quantization=quantization,
            providers=["CPUExecutionProvider"],
            sess_options=session_options(),
        )
        heard[precision] = {}
        for path in samples:
            wave, rate = soundfile.read(path, dtype="float32")
            heard[precision][path.name] = model.recognize(wave, sample_rate=rate)
    return heard


def main() -> None:
    samples = sorted((MODEL / "samples").glob("*.flac"))
    heard = heard_by_reference(samples)
    weights = sorted({path for pattern in WEIGHTS for path in MODEL.glob(pattern)})
    manifest: dict[str, Any] = {
        "reference": f"onnx-asr {version('onnx-asr')}",
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weights},
        "samples": [
            {
                "file": f"samples/{path.name}",
                "said": soundfile.SoundFile(path).title,
                "heard": {precision: texts[path.name] for precision, texts in heard.items()},
            }
            for path in samples
        ],
    }
    (MODEL / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for precision, texts in heard.items():
        right = sum(texts[Path(entry["file"]).name] == entry["said"] for entry in manifest["samples"])
        print(f"{precision}: the reference hears {right} of {len(samples)} as they were said")


if __name__ == "__main__":
    main()
