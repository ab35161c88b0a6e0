"""Opens a tiny model's encoder on each named provider, one after the other, and prints what became of each as JSON."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.native.opening import open_session
from tests.support.models.tiny_graphs import BINS, write_tiny_parakeet


def outcomes(providers: list[str]) -> list[dict[str, Any]]:
    feeds = {
        "audio_signal": np.random.default_rng(0).normal(size=(1, BINS, 100)).astype(np.float32),
        "length": np.array([100]),
    }
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        encoder = write_tiny_parakeet(Path(directory)) / "encoder-model.onnx"
        [expected] = open_session(encoder).run(("outputs",), feeds)
        for provider in providers:
            try:
                session = open_session(encoder, provider)
                [output] = session.run(("outputs",), feeds)
            except ColdvoxError as error:
                found.append({"provider": provider, "error": str(error), "kind": type(error).__name__})
                continue
            equal = bool(np.allclose(output, expected, atol=1e-4))
            found.append({"provider": session.provider, "device": session.device, "equal": equal})
            session.close()
    return found


if __name__ == "__main__":
    print(json.dumps(outcomes(sys.argv[1:])))
