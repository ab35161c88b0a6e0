"""An utterance as JSON: the form in which the last utterance is passed to the process that replaces this one."""

import base64
from typing import Any

import numpy as np

from coldvoxd.core.languages import AUTO
from coldvoxd.core.values import EndReason, Overlap, Utterance

_FULL_SCALE = 32768


def packed(utterance: Utterance) -> dict[str, Any]:
    """Return the utterance as JSON. Lossless, because samples come from a 16-bit microphone."""
    samples = np.round(np.clip(utterance.samples * _FULL_SCALE, -_FULL_SCALE, _FULL_SCALE - 1)).astype("<i2")
    return {
        "id": utterance.id,
        "session": utterance.session_id,
        "start_sample": utterance.start_sample,
        "end_reason": utterance.end_reason,
        "speech_samples": utterance.speech_samples,
        "speech": utterance.speech,
        "language": utterance.language,
        "overlap": (utterance.overlap.lead, utterance.overlap.tail),
        "samples": base64.b64encode(samples.tobytes()).decode("ascii"),
    }


def unpacked(content: dict[str, Any]) -> Utterance:
    """Return the utterance from the result of `packed`. Raises ValueError, TypeError or KeyError if it is invalid."""
    lead, tail = content.get("overlap", (0, 0))
    samples = np.frombuffer(base64.b64decode(content["samples"], validate=True), "<i2")
    return Utterance(
        int(content["id"]),
        int(content["session"]),
        int(content["start_sample"]),
        samples.astype(np.float32) / np.float32(_FULL_SCALE),
        EndReason(content["end_reason"]),
        int(content["speech_samples"]),
        speech=tuple((int(begin), int(end)) for begin, end in content.get("speech", ())),
        language=str(content.get("language", AUTO)),
        overlap=Overlap(int(lead), int(tail)),
    )
