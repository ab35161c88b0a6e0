"""Splits an utterance in two, joins the hypotheses of both pieces, and varies an utterance for a retry."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core.audible_noise import with_noise
from coldvoxd.core.cut_overlap import moved, moved_behind
from coldvoxd.core.features import HOP_SAMPLES
from coldvoxd.core.speech_spans import within
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Overlap, Utterance

SHORTEST_S = 2.0
"""Shorter utterances are not split: each piece would be a word or less."""
_WINDOW = 512
_MIDDLE = (0.3, 0.7)
_ENCODER_FRAME = 8 * HOP_SAMPLES
PADDING_FRAMES = 2
PADDING_SAMPLES = PADDING_FRAMES * _ENCODER_FRAME


def quietest_sample(samples: npt.NDArray[np.float32]) -> int:
    """Return the centre of the quietest 32 ms in the middle part of float32 (n,).

    `n` must be at least two windows of 512 samples.
    """
    begin, end = (int(len(samples) * share) for share in _MIDDLE)
    energy = np.concatenate(([0.0], np.cumsum(np.square(samples[begin:end], dtype=np.float64))))
    if len(energy) <= _WINDOW:
        return len(samples) // 2
    return begin + int(np.argmin(energy[_WINDOW:] - energy[:-_WINDOW])) + _WINDOW // 2


def split(utterance: Utterance) -> tuple[Utterance, Utterance] | None:
    """Cut an utterance at its quietest sample; return None if it is too short. Both pieces keep its number."""
    if utterance.duration_s < SHORTEST_S:
        return None
    at = quietest_sample(utterance.samples)
    length, overlap = len(utterance.samples), utterance.overlap
    behind = overlap.behind if overlap.lead <= at else ()  # only one of the pieces may begin with these words
    first = replace(
        utterance,
        samples=utterance.samples[:at],
        end_reason=EndReason.LENGTH,
        early=None,
        encoded=None,
        speech=within(utterance.speech, 0, at),
        overlap=replace(overlap, lead=min(overlap.lead, at), tail=max(0, overlap.tail - (length - at)), behind=behind),
    )
    return first, replace(
        utterance,
        samples=utterance.samples[at:],
        start_sample=utterance.start_sample + at,
        early=None,
        encoded=None,
        context=None,
        speech=within(utterance.speech, at, length),
        overlap=replace(later(overlap, -at), lead=max(0, overlap.lead - at), tail=min(overlap.tail, length - at)),
    )


def later(overlap: Overlap, samples: int) -> Overlap:
    """Return an overlap whose words begin that many samples later."""
    if overlap.before is None:
        return overlap
    seconds = samples / SAMPLE_RATE
    return replace(overlap, before=moved(overlap.before, seconds), behind=moved_behind(overlap.behind, seconds))


def joined(first: Hypothesis, second: Hypothesis, offset_samples: int) -> Hypothesis:
    """Join the hypotheses of two pieces; the second piece begins `offset_samples` after the first."""
    offset_s = offset_samples / SAMPLE_RATE
    offset_frames = offset_samples // _ENCODER_FRAME
    words = (replace(word, start_s=word.start_s + offset_s, end_s=word.end_s + offset_s) for word in second.words)
    tokens = (replace(token, encoder_frame=token.encoder_frame + offset_frames) for token in second.tokens)
    counts = len(first.tokens), len(second.tokens)
    logs = [math.log(max(piece.confidence, 1e-9)) for piece in (first, second)]
    mean = sum(count * log for count, log in zip(counts, logs, strict=True)) / max(1, sum(counts))
    return Hypothesis(
        text=" ".join(piece.text for piece in (first, second) if piece.text),
        tokens=(*first.tokens, *tokens),
        words=(*first.words, *words),
        confidence=math.exp(mean) if sum(counts) else 0.0,
        provider=second.provider,
        inference_s=first.inference_s + second.inference_s,
        holes=first.holes + second.holes,
        holes_filled=first.holes_filled + second.holes_filled,
        last_tokens=second.last_tokens or first.last_tokens,
        seam=first.seam,
    )


def varied(utterance: Utterance) -> Utterance:
    """Return the same speech with noise and padding, which may give words when the original gives none."""
    samples = with_noise(np.pad(utterance.samples, PADDING_SAMPLES))
    speech = tuple((begin + PADDING_SAMPLES, end + PADDING_SAMPLES) for begin, end in utterance.speech)
    start_sample = utterance.start_sample - PADDING_SAMPLES
    overlap = later(utterance.overlap, PADDING_SAMPLES)
    lead, tail = (length + PADDING_SAMPLES if length else 0 for length in (overlap.lead, overlap.tail))
    overlap = replace(overlap, lead=lead, tail=tail)
    return replace(
        utterance,
        samples=samples,
        start_sample=start_sample,
        early=None,
        encoded=None,
        speech=speech,
        overlap=overlap,
    )


def moved_back(hypothesis: Hypothesis, duration_s: float) -> Hypothesis:
    """Return a hypothesis of a `varied` utterance with the times of the original, which lasts `duration_s` seconds."""
    shift_s = PADDING_SAMPLES / SAMPLE_RATE

    def original(time_s: float) -> float:
        return min(max(0.0, time_s - shift_s), duration_s)

    words = tuple(
        replace(word, start_s=original(word.start_s), end_s=original(word.end_s)) for word in hypothesis.words
    )
    tokens = tuple(
        replace(token, encoder_frame=max(0, token.encoder_frame - PADDING_FRAMES)) for token in hypothesis.tokens
    )
    return replace(hypothesis, words=words, tokens=tokens)
