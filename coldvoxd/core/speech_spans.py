"""The speech in a piece of audio, as spans of samples."""

from collections.abc import Iterable, Sequence

HYSTERESIS = 0.15
"""Difference of the probabilities at which speech begins and ends: Silero's own choice."""

SpeechSpan = tuple[int, int]
"""First sample and end of speech, counted from the start of an utterance."""


def still_speech(threshold: float) -> float:
    """Return the probability from which a frame within an utterance is speech; `threshold` is that of its beginning."""
    return threshold - HYSTERESIS


def speech_spans(frames: Iterable[tuple[int, int, bool]], start_sample: int, end_sample: int) -> tuple[SpeechSpan, ...]:
    """Return the speech in [start_sample, end_sample), relative to its start; touching spans are one.

    `frames` are first sample, end, and whether it is speech, in order.
    """
    spans: list[SpeechSpan] = []
    for begin, end, is_speech in frames:
        begin, end = max(begin, start_sample) - start_sample, min(end, end_sample) - start_sample  # noqa: PLW2901
        if not is_speech or begin >= end:
            continue
        if spans and spans[-1][1] == begin:
            begin = spans.pop()[0]  # noqa: PLW2901
        spans.append((begin, end))
    return tuple(spans)


def within(spans: Sequence[SpeechSpan], begin: int, end: int) -> tuple[SpeechSpan, ...]:
    """Return the spans inside [begin, end), relative to `begin`."""
    return speech_spans(((first, last, True) for first, last in spans), begin, end)


def samples_within(spans: Iterable[SpeechSpan], begin: int, end: int) -> int:
    """Return the number of samples of speech in [begin, end)."""
    return sum(max(0, min(last, end) - max(first, begin)) for first, last in spans)
