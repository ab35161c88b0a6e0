"""Recordings of the bundled model with a pause inside a sentence, or between two."""

from pathlib import Path

import numpy as np
import soundfile

from coldvoxd.core.values import SAMPLE_RATE
from tests.support.sound.speech import Sample, Wave, samples

INSIDE_S = 0.9
"""Seconds of a pause after which the daemon publishes a text, although the sentence continues."""
BETWEEN_S = 1.0
_CUTS = {
    "We will read this report on Friday.": 9_920,
    "You can save it with David.": 10_880,
}
"""By sentence, a sample between two of its first words."""
CUT = tuple(_CUTS)


def said(sentence: str) -> Sample:
    """Return the recording of a sentence."""
    return next(sample for sample in samples() if sample.said == sentence)


def with_pause(sentence: str) -> Wave:
    """Return the recording of a sentence of `CUT` with a pause inside: float32 (n,), 16 kHz."""
    wave, cut = said(sentence).wave(), _CUTS[sentence]
    return joined(wave[:cut], wave[cut:], pause_s=INSIDE_S)


def joined(*waves: Wave, pause_s: float = BETWEEN_S) -> Wave:
    """Return recordings with pauses between them."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    return np.concatenate([part for wave in waves for part in (pause, wave)][1:])


def write(file: Path, wave: Wave) -> Path:
    """Write a recording to a file, and return it."""
    soundfile.write(file, wave, SAMPLE_RATE, subtype="PCM_16")
    return file
