"""The encoder on ONNX Runtime: from features to the frames that are decoded."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.engines.parakeet import padding
from coldvoxd.native.session import OrtSession

AUDIO, LENGTH = "audio_signal", "length"
FRAMES, FRAME_COUNT = "outputs", "encoded_lengths"
SCORES = "logprobs"
"""Of the vocabulary, by a CTC model."""


class Encoder:
    """Runs the session of an encoder. Blocks; one thread at a time."""

    def __init__(self, session: OrtSession, subsampling_factor: int, *, pads: bool = False, masks: bool = True) -> None:
        """`subsampling_factor` is the number of columns of a frame. `pads` pads audio to one of the lengths in `padding`.

        `masks` says that the encoder masks what follows the given length, so that a column may follow.
        """
        self.session = session
        self._subsampling_factor = subsampling_factor
        self.pads = pads
        self.masks = masks

    @property
    def provider(self) -> str:
        """First active execution provider of the session."""
        return self.session.provider

    def encode(
        self, features: npt.NDArray[np.float32], stop: CancellationToken | None = None
    ) -> npt.NDArray[np.float32]:
        """Encoder frames, float32 (frames, encoder size), of features, float32 (bins, columns).

        Those of a CTC model are the scores of the vocabulary, float32 (frames, vocabulary).
        Raises ProviderFault, OutputNotFinite or Stopped.
        """
        # NeMo's centred transform makes one column more than it declares, and leaves it empty: the model was trained with it,
        # masked, and the ranges of an int8 graph include it. Convolutions at the edge see zeros without it too.
        bins, columns = features.shape
        width = (padding.padded(columns) if self.pads else columns) + self.masks
        padded = np.zeros((1, bins, width), dtype=np.float32)
        padded[0, :, :columns] = features
        feeds: dict[str, npt.NDArray[Any]] = {AUDIO: padded, LENGTH: np.array([columns], dtype=np.int64)}
        encoded = np.ascontiguousarray(self._run(feeds, columns, stop), dtype=np.float32)
        if not np.isfinite(encoded).all():
            raise OutputNotFinite(
                f"{self.session.path.name} returned non-finite values on {self.provider}; "
                "the same audio may succeed on another provider"
            )
        return encoded

    def _run(
        self, feeds: dict[str, npt.NDArray[Any]], columns: int, stop: CancellationToken | None
    ) -> npt.NDArray[np.float32]:
        # A graph without masks may not read the length.
        feeds = {name: value for name, value in feeds.items() if name in self.session.inputs}
        if SCORES in self.session.outputs:
            (scores,) = self.session.run((SCORES,), feeds, stop)
            return np.asarray(scores[0, : -(-columns // self._subsampling_factor)])
        outputs, frames = self.session.run((FRAMES, FRAME_COUNT), feeds, stop)
        return np.asarray(outputs[0, :, : int(frames[0])].T)

    def close(self) -> None:
        self.session.close()
