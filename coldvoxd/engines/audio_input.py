"""What every fallback engine requires of the audio of an utterance."""

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import InputFault
from coldvoxd.core.values import SAMPLE_RATE

MIN_SAMPLES = SAMPLE_RATE // 50
"""20 ms. Shorter audio has no words."""
MAX_SECONDS = 400
"""The limit of Parakeet, so that each engine accepts the same audio."""


def has_speech_room(samples: npt.NDArray[np.float32]) -> bool:
    """Return whether audio, float32 (n,) at 16 kHz, is long enough for a word and not exactly silent.

    Raises InputFault for audio that is not finite or longer than MAX_SECONDS.
    """
    if len(samples) > MAX_SECONDS * SAMPLE_RATE:
        raise InputFault(
            f"{len(samples) / SAMPLE_RATE:.0f} s of audio at once: cut it at pauses, {MAX_SECONDS} s at most"
        )
    if not np.isfinite(samples).all():
        raise InputFault("audio with NaN or infinite values: its source is faulty")
    return len(samples) >= MIN_SAMPLES and bool(samples.any())
