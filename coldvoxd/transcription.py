"""An audio file to text, without the daemon."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.cutting import Span, cut
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EndReason, Hypothesis, Utterance, Word

SPEECH_PROBABILITY = 0.25
"""From which a frame may hold speech: half of what dictation asks for, since nobody is annoyed by a longer piece.
Of 500 isolated digits of four people, cut tightly, all but 2 have such a frame; at 0.5, all but 7."""
SHORT_S = 3.0
"""In files shorter than this a detector without room to warm up is not believed that there is no speech ..."""
AUDIBLE_DBFS = -50.0
"""... where any 32 ms of it are louder than this ..."""
MIN_CONFIDENCE = 0.6
"""... and what is then recognized counts from this confidence on."""
LISTENING_SHARE = 0.1
"""Of the progress told, what finding the speech makes up."""

Progress = Callable[[float], None]
"""Is told the share that is done, 0..1, from time to time."""


@dataclass(frozen=True, slots=True)
class FileTranscript:
    text: str = field(repr=False)
    words: tuple[Word, ...] = field(repr=False)
    """Times in seconds from the file's beginning."""
    duration_s: float
    confidence: float
    """Geometric mean of the tokens' probabilities, 0..1; 0 where there is no text."""


def transcribe_file(
    path: Path, recognizer: Recognizer, detector: SpeechDetector, progress: Progress | None = None
) -> FileTranscript:
    """Recognize a file of any length, rate and channel count, in pieces cut at its pauses.

    Up to 20 s from the first speech to the last are recognized in one piece. Where there is no speech the text is
    empty. The detector is reset first. Raises FileFault, ProviderFault or InputFault; blocks.
    """
    tell = progress or (lambda _: None)
    file = AudioFile.open(path)
    scores = _score(file, detector, tell)
    spans = cut(scores.speech, scores.level_db)
    loudest_db = float(scores.level_db.max(initial=-np.inf))
    doubtful = not spans and scores.duration_s < SHORT_S and loudest_db > AUDIBLE_DBFS
    if doubtful:
        spans = [(0, len(scores.speech))]
    heard: list[tuple[float, Hypothesis]] = []
    for index, (start_sample, samples) in enumerate(_pieces(file.blocks(), spans)):
        hypothesis = recognizer.recognize(Utterance(index, 0, start_sample, samples, EndReason.LENGTH))
        if not doubtful or hypothesis.confidence >= MIN_CONFIDENCE:
            heard.append((start_sample / SAMPLE_RATE, hypothesis))
        tell(LISTENING_SHARE + (1 - LISTENING_SHARE) * min(1.0, (index + 1) / len(spans)))
    tell(1.0)
    return _joined(heard, scores.duration_s)


@dataclass(frozen=True, slots=True)
class _Scores:
    """What is known of each frame of a file."""

    speech: npt.NDArray[np.bool_]
    """Whether it may hold speech, bool (n,)."""
    level_db: npt.NDArray[np.float32]
    """Root mean square in dBFS, float32 (n,)."""
    duration_s: float


def _score(file: AudioFile, detector: SpeechDetector, tell: Progress) -> _Scores:
    detector.reset()
    probabilities: list[float] = []
    levels: list[float] = []
    rest = np.zeros(0, dtype=np.float32)
    samples = 0
    for block in file.blocks():
        samples += len(block)
        rest = np.concatenate((rest, block))
        whole = len(rest) // FRAME_SAMPLES
        for frame in rest[: whole * FRAME_SAMPLES].reshape(whole, FRAME_SAMPLES):
            probabilities.append(detector.score(_as_int16(frame)))
            levels.append(_level_db(frame))
        rest = rest[whole * FRAME_SAMPLES :]
        tell(LISTENING_SHARE * min(1.0, samples / max(file.samples, 1)))
    if len(rest) > 0:
        probabilities.append(detector.score(_as_int16(np.pad(rest, (0, FRAME_SAMPLES - len(rest))))))
        levels.append(_level_db(rest))
    return _Scores(
        np.array(probabilities) >= SPEECH_PROBABILITY, np.array(levels, dtype=np.float32), samples / SAMPLE_RATE
    )


def _pieces(
    blocks: Iterable[npt.NDArray[np.float32]], spans: Iterable[Span]
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """First sample and samples of each span; no more of the file is held than one piece and one block."""
    source = iter(blocks)
    held, held_from = np.zeros(0, dtype=np.float32), 0
    for begin, end in spans:
        start_sample, end_sample = begin * FRAME_SAMPLES, end * FRAME_SAMPLES
        while held_from + len(held) < end_sample and (block := next(source, None)) is not None:
            held = np.concatenate((held, block))
            passed = min(max(start_sample - held_from, 0), len(held))
            held, held_from = held[passed:], held_from + passed
        yield start_sample, held[start_sample - held_from : end_sample - held_from]


def _joined(heard: Iterable[tuple[float, Hypothesis]], duration_s: float) -> FileTranscript:
    texts, words, logprobs = [], [], []
    for offset_s, hypothesis in heard:
        if hypothesis.text:
            texts.append(hypothesis.text)
            words += [
                replace(word, start_s=word.start_s + offset_s, end_s=word.end_s + offset_s) for word in hypothesis.words
            ]
            logprobs += [token.logprob for token in hypothesis.tokens]
    confidence = math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0
    return FileTranscript(" ".join(texts), tuple(words), duration_s, confidence)


def _as_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    scaled: npt.NDArray[np.float32] = np.clip(samples * np.float32(32768), -32768, 32767)
    return scaled.astype(np.int16)


def _level_db(samples: npt.NDArray[np.float32]) -> float:
    return 10 * math.log10(float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12)
