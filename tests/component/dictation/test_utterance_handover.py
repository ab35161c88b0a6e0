"""The last utterance is handed over to a new process unchanged."""

import json
from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.values import EndReason, Overlap, Utterance
from coldvoxd.dictation.utterance_handover import packed, unpacked


def test_what_is_packed_comes_out_again_to_the_last_bit() -> None:
    samples = np.random.default_rng(3).integers(-32768, 32768, 16_001).astype(np.float32) / np.float32(32768)
    utterance = Utterance(7, 5, 1234, samples, EndReason.LENGTH, 900, speech=((100, 500), (600, 1100)))
    utterance = replace(utterance, overlap=Overlap(800, 160))
    found = unpacked(json.loads(json.dumps(packed(utterance))))
    assert np.array_equal(found.samples, samples)
    assert found.samples.dtype == np.float32
    assert found.speech == utterance.speech
    assert found.overlap == utterance.overlap
    assert (found.id, found.session_id, found.start_sample, found.end_reason, found.speech_samples) == (
        7, 5, 1234, EndReason.LENGTH, 900,
    )  # fmt: skip


@pytest.mark.parametrize(
    "spoiled", [{"samples": "!"}, {"samples": "AAA"}, {"id": None}, {"end_reason": "whim"}, {"samples": "AA=="}]
)
def test_what_is_no_utterance_is_refused(spoiled: dict[str, object]) -> None:
    content = packed(Utterance(7, 5, 0, np.zeros(8, np.float32), EndReason.STOP))
    with pytest.raises((ValueError, TypeError, KeyError)):
        unpacked({**content, **spoiled})
