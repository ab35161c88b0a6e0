"""An audio file to text, step by step."""

import math
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.streams import clock
from coldvoxd.core.cutting import Span, cut
from coldvoxd.core.errors import FileFault
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.values import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    EndReason,
    FileTranscript,
    Hypothesis,
    Utterance,
    Word,
)

SPEECH_PROBABILITY = 0.25
"""From which a frame may hold speech: half of what dictation asks for, since nobody is annoyed by a longer piece.
Of 500 isolated digits of four people, cut tightly, all but 2 have such a frame; at 0.5, all but 7."""
SHORT_S = 3.0
"""In files shorter than this a detector without room to warm up is not believed that there is no speech ..."""
AUDIBLE_DBFS = -50.0
"""... where any 32 ms of it are louder than this ..."""
FAINT_DBFS, CONTRAST_DB = -80.0, 12.0
"""... or than this, if they are so much louder than the quietest 32 ms: noise alone has no such contrast ..."""
MIN_CONFIDENCE = 0.6
"""... and what is then recognized counts from this confidence on."""
MOST_WARNINGS = 20
"""A file with more damaged places than this has the number of the others as its last warning."""
LISTENING_SHARE = 0.1
"""Of the progress told, what finding the speech makes up."""

Progress = Callable[[float], None]
"""Is told the share that is done, 0..1, from time to time."""


def transcribe_file(
    source: Path | int,
    recognizer: Recognizer,
    detector: SpeechDetector,
    progress: Progress | None = None,
    *,
    name: str | None = None,
) -> FileTranscript:
    """Recognize a file of any length, rate and channel count, in pieces cut at its pauses.

    `source` is its path or an open descriptor; messages call it `name`.

    Up to 20 s from the first speech to the last are recognized in one piece. Where there is no speech the text is
    empty. The detector is reset first. Raises FileFault, ProviderFault or InputFault; blocks.
    """
    transcription = Transcription(AudioFile.open(source, name), detector)
    for piece in transcription.steps():
        if piece is not None:
            transcription.take(piece, recognizer.recognize(piece))
        if progress is not None:
            progress(transcription.progress)
    return transcription.result()


class Transcription:
    """One file on its way to text: whoever takes the `steps` recognizes the pieces that they yield.

    Holds one block and one piece of the audio, and 5 bytes for each 32 ms of it.
    """

    def __init__(
        self, file: AudioFile, detector: SpeechDetector, *, words: bool = True, max_seconds: float = math.inf
    ) -> None:
        """`words`: whether to keep them. Longer files than `max_seconds` are refused when they turn out to be."""
        self._file = file
        self._detector = detector
        self._keep_words = words
        self._max_samples = max_seconds * SAMPLE_RATE
        self._speech = bytearray()
        """Of each frame: whether it may hold speech."""
        self._level_db = array("f")
        """Of each frame: root mean square in dBFS."""
        self._samples = 0
        self._doubtful = False
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._logprobs = self._tokens = 0.0
        self._warnings: list[str] = []
        self._unnamed_warnings = 0
        self.progress = 0.0
        """The share that is done, 0..1."""

    def steps(self) -> Generator[Utterance | None, None, None]:
        """Reads the file twice, a few seconds of sound a step: to find its speech, then to cut it into pieces.

        Yields a piece that is to be recognized and given to `take` before the next step, or None where there is none
        yet. Blocks for some hundredths of a second each; one thread. Raises FileFault.
        """
        self._detector.reset()
        for _ in self._score():
            self.progress = LISTENING_SHARE * min(1.0, self._samples / max(self._file.samples, 1))
            yield None
        speech, level_db = np.frombuffer(self._speech, np.bool_), np.frombuffer(self._level_db, np.float32)
        spans = cut(speech, level_db)
        if not spans and 0 < self._samples < SHORT_S * SAMPLE_RATE and _is_audible(level_db):
            self._doubtful = True
            spans = [(0, len(speech))]
        index = 0
        for start_sample, samples in _pieces(self._file.blocks(), spans):
            if samples is None:
                yield None
                continue
            end_sample = start_sample + len(samples)
            if len(samples) > 0:
                yield Utterance(index, 0, start_sample, samples, EndReason.LENGTH)
            if end_sample < min(spans[index][1] * FRAME_SAMPLES, self._samples):
                at = clock(end_sample / SAMPLE_RATE)
                self._warn(f"The file became shorter while it was read: what was said after {at} is missing.")
                break
            index += 1
            self.progress = LISTENING_SHARE + (1 - LISTENING_SHARE) * index / len(spans)
        self.progress = 1.0
        yield None

    def take(self, piece: Utterance, hypothesis: Hypothesis) -> None:
        """What was recognized in the piece that came last."""
        if not hypothesis.text or (self._doubtful and hypothesis.confidence < MIN_CONFIDENCE):
            return
        self._texts.append(hypothesis.text)
        self._tokens += len(hypothesis.tokens)
        self._logprobs += sum(token.logprob for token in hypothesis.tokens)
        if self._keep_words:
            offset_s = piece.start_sample / SAMPLE_RATE
            self._words += [
                replace(word, start_s=word.start_s + offset_s, end_s=word.end_s + offset_s) for word in hypothesis.words
            ]

    def result(self) -> FileTranscript:
        """After the last step."""
        confidence = math.exp(self._logprobs / self._tokens) if self._tokens else 0.0
        more = (f"The file is damaged at {self._unnamed_warnings} more places.",) if self._unnamed_warnings else ()
        return FileTranscript(
            " ".join(self._texts),
            tuple(self._words),
            self._samples / SAMPLE_RATE,
            confidence,
            (*self._warnings, *more),
        )

    def _warn(self, sentence: str) -> None:
        if len(self._warnings) < MOST_WARNINGS:
            self._warnings.append(sentence)
        else:
            self._unnamed_warnings += 1

    def _score(self) -> Iterator[None]:
        rest = np.zeros(0, dtype=np.float32)
        for block in self._file.blocks(self._warn):
            self._samples += len(block)
            if self._samples > self._max_samples:
                raise FileFault(f"the file is longer than {self._max_samples / SAMPLE_RATE / 3600:g} h: split it")
            rest = np.concatenate((rest, block))
            whole = len(rest) // FRAME_SAMPLES
            for frame in rest[: whole * FRAME_SAMPLES].reshape(whole, FRAME_SAMPLES):
                self._note(_as_int16(frame), _level_db(frame))
            rest = rest[whole * FRAME_SAMPLES :]
            yield
        if len(rest) > 0:
            self._note(_as_int16(np.pad(rest, (0, FRAME_SAMPLES - len(rest)))), _level_db(rest))

    def _note(self, frame: npt.NDArray[np.int16], level_db: float) -> None:
        self._speech.append(self._detector.score(frame) >= SPEECH_PROBABILITY)
        self._level_db.append(level_db)


def _pieces(
    blocks: Iterable[npt.NDArray[np.float32]], spans: Iterable[Span]
) -> Iterator[tuple[int, npt.NDArray[np.float32] | None]]:
    """First sample and samples of each span; no more of the file is held than one piece and one block.

    In between None for each block that was read.
    """
    source = iter(blocks)
    held, held_from = np.zeros(0, dtype=np.float32), 0
    for begin, end in spans:
        start_sample, end_sample = begin * FRAME_SAMPLES, end * FRAME_SAMPLES
        while held_from + len(held) < end_sample and (block := next(source, None)) is not None:
            held = np.concatenate((held, block))
            passed = min(max(start_sample - held_from, 0), len(held))
            held, held_from = held[passed:], held_from + passed
            yield held_from, None
        yield start_sample, held[start_sample - held_from : end_sample - held_from]


def _is_audible(level_db: npt.NDArray[np.float32]) -> bool:
    """Whether frames of these levels may hold a voice."""
    loudest, quietest = float(level_db.max()), float(level_db.min())
    return loudest > AUDIBLE_DBFS or (loudest > FAINT_DBFS and loudest - quietest >= CONTRAST_DB)


def _as_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    scaled: npt.NDArray[np.float32] = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767)
    return scaled.astype(np.int16)


def _level_db(samples: npt.NDArray[np.float32]) -> float:
    return 10 * math.log10(float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12)
