"""The golden clip: speech that verifies a provider and a precision before they are used."""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.errors import ModelInvalid, ProviderFault
from coldvoxd.core.golden_verdict import agrees, fair
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.verdict_cache import recorded, write_verdict
from coldvoxd.models.layout import model_files
from coldvoxd.native.providers import CPU

log = logging.getLogger(__name__)

CLIP = Path(__file__).parents[1] / "data" / "golden" / "hello.flac"


@cache
def clip() -> npt.NDArray[np.float32]:
    """The shipped recording, float32 (n,) at 16 kHz."""
    return np.concatenate(tuple(AudioFile.open(CLIP).blocks()))


def record(files: ModelFiles, threads: int = 0) -> str:
    """Store the CPU's text for the clip with these weights, and with the fp32 weights if present, as the reference.

    Only used when a model is prepared; the daemon only reads the records. Existing records are kept. Loads the model on
    the CPU in each of the two precisions, which takes seconds and the model's memory. Raises ModelInvalid,
    ProviderFault, or OSError if a record cannot be stored.
    """
    own = _record(files, threads)
    if files.precision is Precision.FP32:
        return own
    try:
        in_fp32 = model_files(files.name, files.directory, Precision.FP32)
    except ModelInvalid:
        return own
    truth = _record(in_fp32, threads)
    if not fair(own, truth):
        log.warning(
            "%s in %s recognizes too little of the golden clip on the CPU: these weights are not used on any provider",
            files.name,
            files.precision,
        )
    return truth


def hear(files: ModelFiles, threads: int = 0) -> str:
    """The CPU's text for the clip with these weights. Loads the model; raises ModelInvalid or ProviderFault."""
    recognizer = ParakeetRecognizer.open(files, CPU, threads)
    try:
        return recognizer.recognize_samples(clip()).text
    finally:
        recognizer.close()


def believed(recognizer: ParakeetRecognizer, truths: Sequence[str]) -> bool:
    """Whether the recognizer returns the reference text for the clip, or any plausible one without a record. Blocks."""
    try:
        heard = recognizer.recognize_samples(clip()).text
    except ProviderFault:
        return False
    return agrees(heard, truths or (heard,))


def _record(files: ModelFiles, threads: int) -> str:
    if (known := recorded(files)) is not None:
        return known
    text = hear(files, threads)
    write_verdict(files, text)
    return text
