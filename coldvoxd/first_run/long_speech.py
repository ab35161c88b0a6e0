"""Long utterances, in which a model may lose words, and exact silence, beside which it may."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from coldvoxd.core.features import log_mel
from coldvoxd.core.seams import spelled
from coldvoxd.core.speech_spans import speech_spans, still_speech
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.silence import DITHER_RMS, zero_runs
from coldvoxd.evaluate.noise import Wave
from coldvoxd.evaluate.scoring import Counts
from coldvoxd.evaluate.sessions import heard, room
from coldvoxd.evaluate.tuning import DITHERS_DB
from coldvoxd.first_run import speech
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.first_run.speech import Recording
from coldvoxd.vad.silero import SileroDetector

LENGTHS_S = (10.0, 20.0, 30.0, 15.0, 25.0)
"""Seconds of the long utterances, in the order in which they are measured."""
SHORT_PAUSE_S, LONG_PAUSE_S = 0.3, 2.5
"""Pauses between the sentences of an utterance. After a long one Parakeet's decoder is reported to stall."""
EACH = 3
"""Number of utterances of each length, and of those with long pauses."""
THRESHOLD = 0.5
BEFORE_S, BETWEEN_S, AFTER_S = 0.6, 0.8, 0.6
"""Seconds of digital silence before, between and after two recordings."""
LEVELS_DB = (0, -100, -80, round(20 * np.log10(DITHER_RMS)), -60)
"""Levels in dBFS of the noise in place of digital silence; 0 for none. The middle one but one is that of coldvoxd."""


@dataclass(slots=True)
class _Long:
    """Utterances of one length."""

    counts: Counts = field(default_factory=Counts)
    lost: int = 0
    """Words that are missing from the text, in any order."""
    utterances: int = 0
    holes: int = 0
    filled: int = 0
    audio_s: float = 0.0
    took_s: float = 0.0


def lengths(recognizer: ParakeetRecognizer, deadline: Deadline) -> dict[str, Any]:
    """Recognize long utterances, each length in turn. Raises ProviderFault."""
    cases = [(seconds, SHORT_PAUSE_S, number) for number in range(EACH) for seconds in LENGTHS_S]
    cases[len(LENGTHS_S) : len(LENGTHS_S)] = [(20.0, LONG_PAUSE_S, number) for number in range(EACH)]
    detector = SileroDetector()
    found: dict[tuple[float, float], _Long] = {}
    for seconds, pause_s, number in deadline.each(cases):
        one = speech.strung(seconds, number, pause_s)
        hypothesis = recognizer.recognize(_utterance(one, detector))
        row = found.setdefault((seconds, pause_s), _Long())
        row.counts += speech.counted(one.said, hypothesis.text)
        row.lost += _lost(one.said, hypothesis.text)
        row.utterances += 1
        row.holes += hypothesis.holes
        row.filled += hypothesis.holes_filled
        row.audio_s += len(one.wave) / SAMPLE_RATE
        row.took_s += hypothesis.inference_s
    rows = [
        {
            "seconds": seconds,
            "pause_s": pause_s,
            "utterances": row.utterances,
            "audio_s": round(row.audio_s, 1),
            "words": row.counts.words,
            "errors": row.counts.errors,
            "lost": row.lost,
            "holes": row.holes,
            "holes_filled": row.filled,
            "real_time_factor": round(row.took_s / row.audio_s, 4),
        }
        for (seconds, pause_s), row in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    ]
    return {"rows": rows, "part": share_of(sum(row.utterances for row in found.values()), cases)}


def silence(recognizer: ParakeetRecognizer, deadline: Deadline) -> dict[str, Any]:
    """Recognize recordings with digital silence in which there is noise of several levels, and with noise in all of them.

    Raises ProviderFault.
    """
    exact = {level: Counts() for level in LEVELS_DB}
    whole = {level: Counts() for level in DITHERS_DB}
    count = 0
    pairs = list(pairwise(speech.recordings()))
    for one, other in deadline.each(pairs):
        silent = _with_silence(one.wave, other.wave)
        for level in LEVELS_DB:
            exact[level] += speech.counted(f"{one.said} {other.said}", _text(recognizer, _filled(silent, level)))
        for level in DITHERS_DB:
            faint = np.random.default_rng(count).standard_normal(len(one.wave), dtype=np.float32) * _rms(level)
            whole[level] += speech.counted(one.said, _text(recognizer, one.wave + faint))
        count += 1
    return {
        "part": share_of(count, pairs),
        "recordings": count,
        "now_db": round(20 * np.log10(DITHER_RMS)),
        "exact_silence": [_level(level, counts) for level, counts in exact.items()],
        "whole_recording": [_level(level, counts) for level, counts in whole.items()],
    }


def _utterance(one: Recording, detector: SileroDetector) -> Utterance:
    spoken = heard(np.concatenate((one.wave, room(0.1))), detector)
    limit = still_speech(THRESHOLD)
    frames = ((frame.start_sample, frame.end_sample, frame.speech_probability >= limit) for frame in spoken.frames)
    return Utterance(1, 1, 0, one.wave, EndReason.STOP, speech=speech_spans(frames, 0, len(one.wave)))


def _lost(said: str, text: str) -> int:
    left = [spelled(word) for word in text.split()]
    lost = 0
    for word in map(spelled, said.split()):
        if word in left:
            left.remove(word)
        else:
            lost += 1
    return lost


def _with_silence(one: Wave, other: Wave) -> Wave:
    """Return two recordings with digital silence before, between and after them."""

    def zeros(seconds: float) -> Wave:
        return np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    return np.concatenate((zeros(BEFORE_S), one, zeros(BETWEEN_S), other, zeros(AFTER_S)))


def _filled(wave: Wave, level_db: int) -> Wave:
    """Return the wave with noise in its digital silence; as it is for 0."""
    filled = wave.copy()
    chance = np.random.default_rng(0)
    for begin, end in zero_runs(wave, SAMPLE_RATE // 10) if level_db else ():
        filled[begin:end] = chance.standard_normal(end - begin, dtype=np.float32) * _rms(level_db)
    return filled


def _text(recognizer: ParakeetRecognizer, wave: Wave) -> str:
    """Return the text of the wave exactly as it is: `recognize` would put its own noise into digital silence."""
    tokens = recognizer.decode(recognizer.encode(log_mel(wave, recognizer.features_size)))
    return recognizer.vocabulary.text([token for token in tokens if recognizer.vocabulary.shown(token.id)])


def _rms(level_db: int) -> np.float32:
    return np.float32(10 ** (level_db / 20)) if level_db else np.float32(0)


def _level(level_db: int, counts: Counts) -> dict[str, Any]:
    return {"level_db": level_db or None, "words": counts.words, "errors": counts.errors}
