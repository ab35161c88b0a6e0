"""The golden clip: speech by which a provider and a precision are judged before they are trusted."""

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
    """What the CPU says of the clip with these weights, in fp32 where that is there, from now on kept as the truth.

    For whoever prepares a model; the daemon only reads. What is on record is not asked again. Loads the model, in each of
    the two precisions, on the CPU: takes seconds and its memory. Raises ModelInvalid, ProviderFault, or OSError where it
    can't be stored.
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
    """What the CPU hears in the clip with these weights. Loads the model; raises ModelInvalid or ProviderFault."""
    recognizer = ParakeetRecognizer.open(files, CPU, threads)
    try:
        return recognizer.recognize_samples(clip()).text
    finally:
        recognizer.close()


def believed(recognizer: ParakeetRecognizer, truths: Sequence[str]) -> bool:
    """Whether it hears in the clip what it should, or at all where that is not on record. Blocks."""
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
