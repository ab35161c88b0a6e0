"""A dictation session without microphone and daemon: endpointing, recognition with seams, and the joined text.

The same steps as in the daemon, in the same order (`dictation/segmenter`, `dictation/recognition_queue`), but without waiting
for real time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core import endpointing
from coldvoxd.core.endpoint_effects import Cut, audio_span
from coldvoxd.core.endpointing import EndpointState, Finish, Scored
from coldvoxd.core.languages import AUTO
from coldvoxd.core.levels import level_db
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.speech_spans import speech_spans, still_speech
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Overlap, Utterance
from coldvoxd.evaluate.noise import Wave

ROOM_RMS = 1e-4
"""Level of the noise in pauses: -80 dBFS, as in a quiet room."""
QUIET_S = 0.1
"""A recording is cut at the quietest place within this many seconds of the middle between two words."""
_ENERGY_SAMPLES = 320


@dataclass(frozen=True, slots=True)
class Speech:
    """What a microphone hears, and what the voice activity detector says of each frame."""

    samples: npt.NDArray[np.int16] = field(repr=False)
    frames: tuple[Scored, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Dictated:
    """The result of a session."""

    text: str = field(repr=False)
    utterances: int
    recognition_s: float
    """Time of all recognitions, in seconds."""
    seam_s: float
    """The part of it in which seams were determined."""


def heard(wave: Wave, detector: SpeechDetector) -> Speech:
    """Return float32 (n,) at 16 kHz as a microphone delivers it, in whole frames, scored by the detector from its reset on."""
    steps: npt.NDArray[np.float32] = np.clip(np.rint(wave * np.float32(32768)), -32768, 32767)
    samples = steps.astype(np.int16)[: len(wave) // FRAME_SAMPLES * FRAME_SAMPLES]
    detector.reset()
    frames = tuple(
        Scored(at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES, detector.score(frame), level_db(frame))
        for at, frame in enumerate(samples.reshape(-1, FRAME_SAMPLES))
    )
    return Speech(samples, frames)


def utterances(speech: Speech, settings: EndpointSettings, language: str = AUTO) -> Iterator[Utterance]:
    """Yield what the daemon would cut from a session that ends with the speech."""
    limit = still_speech(settings.threshold)
    found = [(frame.start_sample, frame.end_sample, frame.speech_probability >= limit) for frame in speech.frames]
    state, number = EndpointState(0), 0
    events: tuple[endpointing.Event, ...] = (*speech.frames, Finish(len(speech.samples)))
    for event in events:
        state, effects = endpointing.step(state, event, settings)
        for cut in (effect for effect in effects if isinstance(effect, Cut)):
            number += 1
            begin, end = audio_span(cut)
            samples = speech.samples[begin:end].astype(np.float32) / np.float32(32768)
            yield Utterance(
                number,
                1,
                begin,
                samples,
                cut.reason,
                cut.speech_samples,
                speech=speech_spans(found, begin, end),
                language=language,
                overlap=Overlap(*cut.overlap),
            )


def dictate(
    speech: Speech, recognizer: Recognizer, settings: EndpointSettings, rules: SeamRules, language: str = AUTO
) -> Dictated:
    """Return the text of a session with this speech. Blocks. Raises ProviderFault or InputFault."""
    text = SessionText(rules)
    count, recognition_s, seam_s = 0, 0.0, 0.0
    for utterance in utterances(speech, settings, language):
        asked = text.following(utterance)
        hypothesis = recognizer.recognize(asked)
        count += 1
        recognition_s += hypothesis.inference_s
        seam_s += hypothesis.seam_s
        if hypothesis.text:
            text.close(utterance.speech_start_sample)
            text.add(asked, hypothesis)
    return Dictated(text.text, count, recognition_s, seam_s)


def with_pause(wave: Wave, words: Sequence[tuple[float, float]], pause_s: float) -> Wave:
    """Return a recording with a pause after half of its words, which are given by begin and end in seconds.

    A recording of fewer than two words is returned as it is.
    """
    if len(words) < 2:
        return wave
    half = len(words) // 2
    middle = round((words[half - 1][1] + words[half][0]) / 2 * SAMPLE_RATE)
    begin = max(0, middle - round(QUIET_S * SAMPLE_RATE))
    near = wave[begin : middle + round(QUIET_S * SAMPLE_RATE)]
    energy = np.convolve(np.square(near), np.ones(_ENERGY_SAMPLES), "same")[: len(near)]
    at = begin + int(np.argmin(energy)) if len(near) else middle
    return np.concatenate((wave[:at], room(pause_s), wave[at:]))


def room(seconds: float) -> Wave:
    """Return faint noise, float32 (n,), the same every time."""
    noise = np.random.default_rng(4).standard_normal(max(0, round(seconds * SAMPLE_RATE)), dtype=np.float32)
    return noise * np.float32(ROOM_RMS)
