"""The encoder on ONNX Runtime: from features to the frames that are decoded."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.core.provider_names import short_name
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
        return self.encode_all((features,), stop)[0]

    @property
    def takes_several(self) -> bool:
        """Whether one run can encode utterances of different lengths."""
        is_compiled = short_name(self.provider).startswith("tensorrt")  # for the shapes of single utterances
        return self.masks and not is_compiled and self.session.inputs[AUDIO].shape[0] is None

    def encode_all(
        self, features: Sequence[npt.NDArray[np.float32]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Encoder frames of several utterances, computed in one run; see `encode`."""
        # NeMo's centred transform makes one column more than it declares, and leaves it empty: the model was trained with it,
        # masked, and the ranges of an int8 graph include it. Convolutions at the edge see zeros without it too.
        lengths = np.array([one.shape[1] for one in features], dtype=np.int64)
        longest = int(lengths.max())
        width = (padding.padded(longest) if self.pads else longest) + self.masks
        padded = np.zeros((len(features), len(features[0]), width), dtype=np.float32)
        for row, one in zip(padded, features, strict=True):
            row[:, : one.shape[1]] = one
        encoded = [
            np.ascontiguousarray(one, dtype=np.float32)
            for one in self._run({AUDIO: padded, LENGTH: lengths}, lengths, stop)
        ]
        if not all(np.isfinite(one).all() for one in encoded):
            raise OutputNotFinite(
                f"{self.session.path.name} returned non-finite values on {self.provider}; "
                "the same audio may succeed on another provider"
            )
        return encoded

    def _run(
        self, feeds: dict[str, npt.NDArray[Any]], lengths: npt.NDArray[np.int64], stop: CancellationToken | None
    ) -> Iterator[npt.NDArray[np.float32]]:
        # A graph without masks may not read the length.
        feeds = {name: value for name, value in feeds.items() if name in self.session.inputs}
        if SCORES in self.session.outputs:
            (scores,) = self.session.run((SCORES,), feeds, stop)
            for one, columns in zip(scores, lengths, strict=True):
                yield one[: -(-int(columns) // self._subsampling_factor)]
            return
        outputs, frames = self.session.run((FRAMES, FRAME_COUNT), feeds, stop)
        for output, count in zip(outputs, frames, strict=True):
            yield output[:, : int(count)].T

    def close(self) -> None:
        self.session.close()
