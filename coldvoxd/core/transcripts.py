"""Transcripts: recognition results as clients receive them, with times from the start of the session."""

from dataclasses import replace

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
    moved = (
        replace(word, start_s=word.start_s + offset_s, end_s=word.end_s + offset_s)
        for word in (hypothesis.words if with_words else ())
    )
    return Transcript(
        session_id=utterance.session_id,
        utterance_id=utterance.id,
        text=hypothesis.text,
        start_s=offset_s,
        end_s=offset_s + utterance.duration_s,
        confidence=hypothesis.confidence,
        provider=hypothesis.provider,
        latency_s=latency_s,
        retried=retried,
        words=tuple(moved),
        seamed=seamed,
        alternatives=hypothesis.alternatives,
    )
