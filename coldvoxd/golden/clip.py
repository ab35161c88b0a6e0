"""The golden clip: speech that verifies a provider and a precision before they are used."""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.errors import ModelInvalid, ProviderFault
from coldvoxd.core.golden_verdict import agrees, fair, words
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.verdict_cache import recorded, verdict, write_verdict
from coldvoxd.models.directories import BUNDLED
from coldvoxd.models.layout import model_files
from coldvoxd.models.published_models import PUBLISHED
from coldvoxd.native.providers import CPU

log = logging.getLogger(__name__)

CLIP = Path(__file__).parents[1] / "data" / "golden" / "hello.flac"
SPOKEN = "Hello Anna, send the message to Peter."
"""The words of the clip, which the models that coldvoxd knows recognize without an error."""


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


def is_right(files: ModelFiles, heard: str) -> bool:
    """Whether the CPU's text for the clip differs no more than a sound precision may from what these weights should give.

    That is the text on record. A record may have been made with damaged weights, so the models that coldvoxd knows must
    also recognize the words that were spoken. Another model without a record may be one for another language: any words
    are accepted from it. Reads the graphs' headers.
    """
    expected = verdict(files).truths
    known = files.directory.name.removesuffix("-onnx") in {*PUBLISHED, BUNDLED}
    if expected and not any(fair(heard, truth) for truth in expected):
        return False
    return fair(heard, SPOKEN) if known else bool(words(heard))


def _record(files: ModelFiles, threads: int) -> str:
    if (known := recorded(files)) is not None:
        return known
    text = hear(files, threads)
    write_verdict(files, text)
    return text
