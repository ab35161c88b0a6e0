"""Transcripts: recognition results as clients receive them, with times from the start of the session."""

from coldvoxd.core.cut_overlap import moved
from coldvoxd.core.seams import SeamedText
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Transcript, Utterance


def transcript_of(
    utterance: Utterance,
    hypothesis: Hypothesis,
    *,
    session_start_sample: int,
    with_words: bool,
    latency_s: float,
    seamed: SeamedText,
    retried: bool = False,
) -> Transcript:
    """Return the transcript of an utterance. `latency_s` counts from its endpoint."""
    offset_s = (utterance.start_sample - session_start_sample) / SAMPLE_RATE
    return Transcript(
        session_id=utterance.session_id,
        utterance_id=utterance.id,
        text=hypothesis.text,
        start_s=(utterance.own_start_sample - session_start_sample) / SAMPLE_RATE,
        end_s=(utterance.own_end_sample - session_start_sample) / SAMPLE_RATE,
        confidence=hypothesis.confidence,
        provider=hypothesis.provider,
        latency_s=latency_s,
        retried=retried,
        words=moved(hypothesis.words, offset_s) if with_words else (),
        seamed=seamed,
        alternatives=hypothesis.alternatives,
    )
