"""Silero's voice activity model on ONNX Runtime, without torch."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import InputFault, ModelInvalid
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.ort import open_session

MODEL = Path(__file__).parents[1] / "data" / "silero" / "silero_vad_16k_op15.onnx"
"""Package data, put there by contrib/refresh-silero.sh; the hash stands beside it in a file of `sha256sum`'s form."""

CONTEXT_SAMPLES = 64
"""The end of the frame before, which the model wants in front of each. Without it, it hears no speech at all."""


class SileroDetector:
    """The SpeechDetector port. Scores frames on the thread that calls, in about 150 us each.

    Raises ModelInvalid at construction where the model file is not the one that was shipped.
    """

    def __init__(self, threads: int = 1, model: Path = MODEL) -> None:
        _verify(model)
        self._session = open_session(model, threads=threads)
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32)
        self._feeds: dict[str, npt.NDArray[np.generic]] = {
            "input": self._input,
            "state": np.zeros((2, 1, 128), dtype=np.float32),
            "sr": np.array(SAMPLE_RATE, dtype=np.int64),
        }

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        """Speech probability 0..1 of int16 (512,), given all frames since the last reset. Raises InputFault."""
        if samples.shape != (FRAME_SAMPLES,) or samples.dtype != np.int16:
            raise InputFault(f"a frame to score is int16 ({FRAME_SAMPLES},), not {samples.dtype} {samples.shape}")
        self._input[0, :CONTEXT_SAMPLES] = self._input[0, -CONTEXT_SAMPLES:]
        np.multiply(samples, np.float32(1 / 32768), out=self._input[0, CONTEXT_SAMPLES:])
        probability, self._feeds["state"] = self._session.run(("output", "stateN"), self._feeds)
        return float(probability[0, 0])

    def reset(self) -> None:
        self._input.fill(0.0)
        self._feeds["state"] = np.zeros((2, 1, 128), dtype=np.float32)


def _verify(model: Path) -> None:
    record = model.with_name(f"{model.name}.sha256")
    try:
        recorded = record.read_text().split()[0]
        found = hashlib.sha256(model.read_bytes()).hexdigest()
    except (OSError, IndexError) as error:
        raise ModelInvalid(f"the voice activity model can't be read ({error}): install coldvoxd again") from error
    if found != recorded:
        raise ModelInvalid(
            f"{model} has the SHA-256 {found}, but {record.name} records {recorded}: install coldvoxd again, "
            "or in a checkout run contrib/refresh-silero.sh"
        )
