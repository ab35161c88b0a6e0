"""Silero's voice activity model on ONNX Runtime, without torch."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import InputFault, ModelInvalid
from coldvoxd.core.leveling import Leveler
from coldvoxd.core.levels import level_db
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.native.ort import open_session

MODEL = Path(__file__).parents[1] / "data" / "silero" / "silero_vad_16k_op15.onnx"
"""Package data, put there by contrib/dev/refresh-silero.sh; the hash stands beside it in a file of `sha256sum`'s form."""

CONTEXT_SAMPLES = 64
"""The end of the frame before, which the model wants in front of each. Without it, it hears no speech at all."""


class SileroDetector:
    """The SpeechDetector port. Scores frames on the thread that calls, in about 150 us each.

    The model hears each frame, and the context before it, at one gain (`coldvoxd.core.leveling`). Where `leveled` is False
    it hears them as they were recorded, which only a comparison needs.
    Raises ModelInvalid at construction where the model file is not the one that was shipped.
    """

    def __init__(self, threads: int = 1, model: Path = MODEL, *, leveled: bool = True) -> None:
        _verify(model)
        self._session = open_session(model, threads=threads)
        self._recorded = np.zeros(CONTEXT_SAMPLES + FRAME_SAMPLES, dtype=np.float32)
        """The context and the frame before amplification, so that the next gain applies to all of its own context."""
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32)
        self._feeds: dict[str, npt.NDArray[np.generic]] = {
            "input": self._input,
            "state": np.zeros((2, 1, 128), dtype=np.float32),
            "sr": np.array(SAMPLE_RATE, dtype=np.int64),
        }
        self._leveler = Leveler() if leveled else None
        self._follows_level = True

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        """Speech probability 0..1 of int16 (512,), given all frames since the last reset. Raises InputFault."""
        if samples.shape != (FRAME_SAMPLES,) or samples.dtype != np.int16:
            raise InputFault(f"a frame to score is int16 ({FRAME_SAMPLES},), not {samples.dtype} {samples.shape}")
        recorded = self._recorded
        recorded[:CONTEXT_SAMPLES] = recorded[-CONTEXT_SAMPLES:]
        np.multiply(samples, np.float32(1 / 32768), out=recorded[CONTEXT_SAMPLES:])
        gain = self._leveler.gain(float(max(recorded.max(), -recorded.min()))) if self._leveler else 1.0
        np.multiply(recorded, np.float32(gain), out=self._input[0])
        output, self._feeds["state"] = self._session.run(("output", "stateN"), self._feeds)
        probability = float(output[0, 0])
        if self._leveler and self._follows_level:
            self._leveler.heard(probability, level_db(samples))
        return probability

    def follow_level(self, follow: bool) -> None:
        if self._leveler and follow != self._follows_level:
            self._leveler.forget()
        self._follows_level = follow

    def reset(self) -> None:
        self._recorded.fill(0.0)
        self._feeds["state"] = np.zeros((2, 1, 128), dtype=np.float32)
        if self._leveler:
            self._leveler.forget()


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
            "or in a checkout run contrib/dev/refresh-silero.sh"
        )
