"""Silero's voice activity model on ONNX Runtime, without torch."""

import hashlib
from collections import deque
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import InputFault, ModelInvalid
from coldvoxd.core.leveling import Leveler
from coldvoxd.core.levels import level_db
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.native.opening import open_session

MODEL = Path(__file__).parents[1] / "data" / "silero" / "silero_vad_16k_op15.onnx"
"""Package data, written by contrib/dev/refresh-silero.sh, with its hash in a file in the format of `sha256sum`."""

CONTEXT_SAMPLES = 64
"""Samples of the previous frame that the model needs before each frame. Without them it detects no speech at all."""
NO_SPEECH = 0.15
"""Speech probability below which a frame counts as free of speech here."""
MEMORY_FRAMES = 156
"""Consecutive frames without speech, 5 s, after which the state is replaced."""
WARM_UP_FRAMES = 94
"""Number of the latest frames, 3 s, from which the state is made then. With 1 s, a fan that stops was taken for speech in 5 of 24 trials;
with 3 s in none."""


class SileroDetector:
    """The SpeechDetector port. Scores frames on the calling thread, in about 150 us each.

    Each frame and its context are amplified by the same gain (`coldvoxd.core.leveling`). If `leveled` is False they are
    scored as recorded, which only comparisons need. The constructor raises ModelInvalid if the model file is not the
    shipped one.

    The model's recurrent state drifts while there is no speech, and the first word after minutes of noise is then
    detected late or not at all: 16 samples in white noise of -45 dBFS began 12 frames later on average after 240 s than
    after 1 s, and 1.4 frames later after 10 s. So the state never covers more than `MEMORY_FRAMES` without speech: it is
    made again of the latest frames.
    """

    def __init__(self, threads: int = 1, model: Path = MODEL, *, leveled: bool = True) -> None:
        _verify(model)
        self._session = open_session(model, threads=threads)
        self._recorded = np.zeros(CONTEXT_SAMPLES + FRAME_SAMPLES, dtype=np.float32)
        """The context and the frame before amplification, so that the next gain applies to the whole context."""
        self._input = np.zeros((1, CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32)
        self._feeds: dict[str, npt.NDArray[np.generic]] = {
            "input": self._input,
            "state": np.zeros((2, 1, 128), dtype=np.float32),
            "sr": np.array(SAMPLE_RATE, dtype=np.int64),
        }
        self._recent: deque[npt.NDArray[np.float32]] = deque(maxlen=WARM_UP_FRAMES)
        """The latest frames with their contexts, before amplification."""
        self._frames_without = 0
        """Consecutive frames without speech that the state covers."""
        self._leveler = Leveler() if leveled else None
        self._follows_level = True

    def score(self, samples: npt.NDArray[np.int16]) -> float:
        """Speech probability, 0 to 1, of int16 (512,), given all frames since the last reset. Raises InputFault."""
        if samples.shape != (FRAME_SAMPLES,) or samples.dtype != np.int16:
            raise InputFault(f"a frame to score is int16 ({FRAME_SAMPLES},), not {samples.dtype} {samples.shape}")
        recorded = self._recorded
        recorded[:CONTEXT_SAMPLES] = recorded[-CONTEXT_SAMPLES:]
        np.multiply(samples, np.float32(1 / 32768), out=recorded[CONTEXT_SAMPLES:])
        probability = self._run(recorded)
        if self._leveler and self._follows_level:
            self._leveler.heard(probability, level_db(samples))
        self._recent.append(recorded.copy())
        self._frames_without = self._frames_without + 1 if probability < NO_SPEECH else 0
        if self._frames_without == MEMORY_FRAMES:
            self._renew_state()
        return probability

    def _run(self, recorded: npt.NDArray[np.float32]) -> float:
        """Score a frame with its context, float32 (576,), and advance the state."""
        gain = self._leveler.gain(float(max(recorded.max(), -recorded.min()))) if self._leveler else 1.0
        np.multiply(recorded, np.float32(gain), out=self._input[0])
        output, self._feeds["state"] = self._session.run(("output", "stateN"), self._feeds)
        return float(output[0, 0])

    def _renew_state(self) -> None:
        """Make the state of the latest frames only."""
        self._clear_state()
        for recorded in self._recent:
            self._run(recorded)
        self._frames_without = len(self._recent)

    def _clear_state(self) -> None:
        self._feeds["state"] = np.zeros((2, 1, 128), dtype=np.float32)

    def follow_level(self, follow: bool) -> None:
        if self._leveler and follow != self._follows_level:
            self._leveler.forget()
        self._follows_level = follow

    def reset(self) -> None:
        self._recorded.fill(0.0)
        self._recent.clear()
        self._frames_without = 0
        self._clear_state()
        if self._leveler:
            self._leveler.forget()


def _verify(model: Path) -> None:
    record = model.with_name(f"{model.name}.sha256")
    try:
        recorded = record.read_text().split()[0]
        found = hashlib.sha256(model.read_bytes()).hexdigest()
    except (OSError, IndexError) as error:
        raise ModelInvalid(f"the voice activity model cannot be read ({error}): reinstall coldvoxd") from error
    if found != recorded:
        raise ModelInvalid(
            f"{model} has the SHA-256 {found}, but {record.name} records {recorded}: reinstall coldvoxd, "
            "or in a checkout run contrib/dev/refresh-silero.sh"
        )
