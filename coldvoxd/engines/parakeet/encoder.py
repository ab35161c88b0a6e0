"""The encoder on ONNX Runtime: from features to the frames that are decoded."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.engines.parakeet import padding
from coldvoxd.native.session import OrtSession

AUDIO, LENGTH = "audio_signal", "length"
FRAMES, FRAME_COUNT = "outputs", "encoded_lengths"


class Encoder:
    """Runs the session of an encoder. Blocks; one thread at a time."""

    def __init__(self, session: OrtSession, *, pads: bool = False, masks: bool = True) -> None:
        """`pads` pads audio to one of the lengths in `padding`.

        `masks` says that the encoder masks what follows the given length, so that a column may follow.
        """
        self.session = session
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

        Raises ProviderFault, OutputNotFinite or Stopped.
        """
        # NeMo's centred transform makes one column more than it declares, and leaves it empty: the model was trained with it,
        # masked, and the ranges of an int8 graph include it. Convolutions at the edge see zeros without it too.
        bins, columns = features.shape
        width = (padding.padded(columns) if self.pads else columns) + self.masks
        padded = np.zeros((1, bins, width), dtype=np.float32)
        padded[0, :, :columns] = features
        outputs, frames = self.session.run(
            (FRAMES, FRAME_COUNT), {AUDIO: padded, LENGTH: np.array([columns], dtype=np.int64)}, stop
        )
        encoded = np.ascontiguousarray(outputs[0, :, : int(frames[0])].T, dtype=np.float32)
        if not np.isfinite(encoded).all():
            raise OutputNotFinite(
                f"{self.session.path.name} returned non-finite values on {self.provider}; "
                "the same audio may succeed on another provider"
            )
        return encoded

    def close(self) -> None:
        self.session.close()
