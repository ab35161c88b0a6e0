"""Transcripts: recognition results as clients receive them, with times from the start of the session."""

from collections.abc import Sequence
from dataclasses import replace

from coldvoxd.core.cut_overlap import moved
from coldvoxd.core.seams import SeamedText
from coldvoxd.core.values import NO_OVERLAP, SAMPLE_RATE, Hypothesis, Transcript, Utterance, Word


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
    start_s = (utterance.own_start_sample - session_start_sample) / SAMPLE_RATE
    end_s = (utterance.own_end_sample - session_start_sample) / SAMPLE_RATE
    words = moved(hypothesis.words, offset_s) if with_words else ()
    return Transcript(
        session_id=utterance.session_id,
        utterance_id=utterance.id,
        text=hypothesis.text,
        start_s=start_s,
        end_s=end_s,
        confidence=hypothesis.confidence,
        provider=hypothesis.provider,
        latency_s=latency_s,
        retried=retried,
        words=_within(words, start_s, end_s) if utterance.overlap != NO_OVERLAP else words,
        seamed=seamed,
        alternatives=hypothesis.alternatives,
    )


def _within(words: Sequence[Word], start_s: float, end_s: float) -> tuple[Word, ...]:
    """Return words whose times are in the utterance: a word at a cut is recognized a little beyond it, as is its neighbour."""
    return tuple(
        replace(word, start_s=min(max(word.start_s, start_s), end_s), end_s=min(max(word.end_s, start_s), end_s))
        for word in words
    )
