"""Transcribes an audio file step by step."""

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.streams import clock
from coldvoxd.core import languages
from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.core.errors import FileFault, ProviderFault
from coldvoxd.core.file_values import NO_SPEECH, NO_WORDS, FileTranscript
from coldvoxd.core.mixdown import mixed, taken
from coldvoxd.core.ports import BatchEncoder, Recognizer, SpeechDetector
from coldvoxd.core.seams import (
    NO_SEAMS,
    SeamContext,
    SeamedText,
    SeamMethod,
    SeamRules,
    lowered,
    without_final_mark,
)
from coldvoxd.core.session_text import SessionText
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EndReason, Hypothesis, Utterance, Word
from coldvoxd.files.batching import Together, one_by_one, together
from coldvoxd.files.overlap import joint
from coldvoxd.files.recording_split import Span, cut, max_frames
from coldvoxd.files.speech_map import SpeechMap
from coldvoxd.vad.silero import SileroDetector

SHORT_S = 3.0
"""In files shorter than this the detector has no time to adapt, so its finding of no speech is not trusted ..."""
AUDIBLE_DBFS = -50.0
"""... if any 32 ms are louder than this ..."""
FAINT_DBFS, CONTRAST_DB = -80.0, 12.0
"""... or louder than this, and by this much louder than the quietest 32 ms, a contrast that noise alone lacks ..."""
MIN_CONFIDENCE = 0.6
"""... and the recognized text has at least this confidence."""
MOST_WARNINGS = 20
"""Maximum number of warnings of a file; the last one gives the number of those omitted."""
SURE_PIECE_S = 1.0
"""A piece without words is reported with its times from this length on; shorter ones may be noise that the detector
took for speech."""
LISTENING_SHARE = 0.1
"""Share of the progress for detecting the speech."""

Progress = Callable[[float], None]
"""Called repeatedly with the completed share, 0..1."""


def transcribe_file(
    source: Path | int,
    recognizer: Recognizer,
    detector: SpeechDetector,
    progress: Progress | None = None,
    *,
    name: str | None = None,
    channel: Channel = AUTO,
    seam_rules: SeamRules = NO_SEAMS,
    longest_s: float = math.inf,
    language: str = languages.AUTO,
    batch_size: int = 1,
) -> FileTranscript:
    """Recognize a file of any length, sample rate and channel count, in pieces cut at its pauses.

    `source` is its path or an open descriptor; `name` is its name in messages.

    Up to 20 s, or `longest_s`, from the first speech to the last are recognized in one piece. If there is no speech, the text is empty.
    Up to `batch_size` pieces are encoded at once, if the recognizer can. The detector is reset first. Blocks. Raises FileFault, ProviderFault or InputFault.
    """
    transcription = Transcription(
        AudioFile.open(source, name),
        detector,
        channel=channel,
        seam_rules=seam_rules,
        longest_s=longest_s,
        language=language,
        batch_size=(lambda: batch_size) if isinstance(recognizer, BatchEncoder) else one_by_one,
    )
    for step in transcription.steps():
        if isinstance(step, Together) and isinstance(recognizer, BatchEncoder):
            with suppress(ProviderFault):  # otherwise one by one
                step.pieces = recognizer.encode_ahead(step.pieces)
        elif isinstance(step, Utterance):
            transcription.take(step, recognizer.recognize(step))
        if progress is not None:
            progress(transcription.progress)
    return transcription.result()


class _Text:
    """The text of the pieces recognized so far."""

    def __init__(self, seam_rules: SeamRules, *, keeps_words: bool) -> None:
        self._keeps_words = keeps_words
        self._session = SessionText(seam_rules)
        self._logprobs = self._tokens = 0.0
        self._last: tuple[Word, ...] = ()
        self._end_s = 0.0
        """`_last` and `_end_s`: words and end of the last piece."""
        self._parts: list[SeamedText] = []
        self.words: list[Word] = []
        """Words, with times in seconds from the start of the file."""

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities, 0..1; 0 without tokens."""
        return math.exp(self._logprobs / self._tokens) if self._tokens else 0.0

    @property
    def joined(self) -> str:
        """The texts of all pieces."""
        pending = self._parts[-1].pending if self._parts else ""
        return "".join(part.seam + part.body for part in self._parts) + pending

    def context_of(self, piece: Utterance) -> SeamContext | None:
        """Return what the recognizer needs to determine the seam before a piece; None if it overlaps the last one."""
        return None if piece.start_sample < round(self._end_s * SAMPLE_RATE) else self._session.context_of(piece)

    def add(self, piece: Utterance, hypothesis: Hypothesis) -> None:
        """Append the text of the next piece, which may begin before the last one's end."""
        start_s = piece.start_sample / SAMPLE_RATE
        words = tuple(
            replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s) for word in hypothesis.words
        )
        overlaps = bool(self._parts) and start_s < self._end_s
        if overlaps:
            kept, dropped = joint(self._last, words, start_s, self._end_s)
            if kept < len(self._last):
                self._shorten(kept)
            if dropped:
                words = words[dropped:]
                hypothesis = replace(hypothesis, text=_text(words))
        added = self._session.add(piece, hypothesis)
        if overlaps:
            added = replace(added, seam=f"{self._parts[-1].pending} ")
        self._tokens += len(hypothesis.tokens)
        self._logprobs += sum(token.logprob for token in hypothesis.tokens)
        self._last, self._end_s = words, start_s + piece.duration_s
        if self._keeps_words:
            self._append_words(words, added)
        self._parts.append(added)

    def _append_words(self, words: tuple[Word, ...], added: SeamedText) -> None:
        """Append the words of a piece, with the mark and the first letter that its seam gives them."""
        if self._parts and self.words and self._session.rules.method is not SeamMethod.OFF:
            last, mark = self.words[-1], added.seam.strip()
            self.words[-1] = replace(last, text=without_final_mark(last.text)[0] + mark)
            if words and added.body[:1].islower():
                words = (replace(words[0], text=lowered(words[0].text)), *words[1:])
        self.words += words

    def _shorten(self, kept: int) -> None:
        """Keep only this many words of the last piece."""
        if self._keeps_words:
            del self.words[len(self.words) - len(self._last) + kept :]
        last = self._parts.pop()
        if kept:
            text = _text(self._last[:kept])
            body, pending = (text, "") if self._session.rules.method is SeamMethod.OFF else without_final_mark(text)
            self._parts.append(SeamedText(lowered(body) if last.body[:1].islower() else body, pending, last.seam))


def _text(words: Iterable[Word]) -> str:
    return " ".join(word.text for word in words)


class Transcription:
    """The transcription of one file: the caller runs the `steps` and recognizes the pieces that they yield.

    Holds one block and one piece of the audio (see `batching` for several), and 6 bytes per 32 ms of audio.
    """

    def __init__(
        self,
        file: AudioFile,
        detector: SpeechDetector,
        *,
        words: bool = True,
        max_seconds: float = math.inf,
        channel: Channel = AUTO,
        open_scout: Callable[[], SpeechDetector] = SileroDetector,
        seam_rules: SeamRules = NO_SEAMS,
        longest_s: float = math.inf,
        language: str = languages.AUTO,
        batch_size: Callable[[], int] = one_by_one,
    ) -> None:
        """`words`: whether to keep words. A file that turns out to be longer than `max_seconds` is refused.

        With `channel` at `auto`, each piece is recognized in the mix, or in a channel if the mix is far below it. The
        detector that `open_scout` opens scores single channels. Pieces have at most `longest_s` seconds;
        `batch_size` returns how many may be encoded at once. Raises FileFault if the file lacks the channel.
        """
        if missing := channel.missing_in(file.channels):
            raise FileFault(f"{file.name} {missing}")
        self._file = file
        self._max_samples = max_seconds * SAMPLE_RATE
        self._piece_frames = max_frames(longest_s)
        self._language = language
        self._batch_size = batch_size
        several = channel.automatic and file.channels > 1
        self._mixdown = (
            _as_they_are if several else mixed if not channel.number else partial(_taken, number=channel.number)
        )
        self._detector = detector
        self._map = SpeechMap(detector, open_scout() if several else detector)
        self._samples = 0
        self._doubtful = False
        self._text = _Text(seam_rules, keeps_words=words)
        self._warnings: list[str] = []
        self._unnamed_warnings = self._wordless = 0
        """`_wordless`: number of pieces with speech in which no words were recognized."""
        self.progress = 0.0
        """Completed share, 0..1."""

    def steps(self) -> Generator[Utterance | Together | None, None, None]:
        """Read the file twice, a few seconds of audio per step: first to find its speech, then to cut it into pieces.

        Yields a piece to be recognized and passed to `take` before the next step, pieces that may be encoded together
        before that, or None if there is none yet. Each step blocks for some hundredths of a second. Use from one thread. Raises FileFault.
        """
        self._detector.reset()
        for _ in self._score():
            self.progress = LISTENING_SHARE * min(1.0, self._samples / max(self._file.samples, 1))
            yield None
        speech, level_db = self._map.speech, self._map.level_db
        spans = cut(speech, level_db, max_frames=self._piece_frames)
        if not spans and 0 < self._samples < SHORT_S * SAMPLE_RATE and _is_audible(level_db):
            self._doubtful = True
            spans = [(0, len(speech))]
        for step in together(self._cut(spans), self._batch_size):
            if isinstance(step, Utterance):
                yield replace(step, context=self._text.context_of(step))
                self.progress = LISTENING_SHARE + (1 - LISTENING_SHARE) * (step.id + 1) / len(spans)
            else:
                yield step
        self.progress = 1.0
        yield None

    def _cut(self, spans: Sequence[Span]) -> Iterator[Utterance | None]:
        """Yield the pieces of the file, and None after each block that was read."""
        index = 0
        for start_sample, samples in _pieces(self._file.blocks(mixdown=self._mixdown), spans):
            if samples is None:
                yield None
                continue
            end_sample = start_sample + len(samples)
            if len(samples) > 0:
                heard = samples if samples.ndim == 1 else taken(samples, self._map.channel_of(spans[index]))
                spoken = () if self._doubtful else self._map.spans(start_sample, end_sample)
                yield Utterance(index, 0, start_sample, heard, EndReason.LENGTH, speech=spoken, language=self._language)
            if end_sample < min(spans[index][1] * FRAME_SAMPLES, self._samples):
                at = clock(end_sample / SAMPLE_RATE)
                self._warn(f"The file was truncated while it was read: the audio after {at} is missing.")
                return
            index += 1

    def take(self, piece: Utterance, hypothesis: Hypothesis) -> None:
        """Add the recognized text of the last piece."""
        if not hypothesis.text or (self._doubtful and hypothesis.confidence < MIN_CONFIDENCE):
            self._note_wordless(piece)
            return
        self._text.add(piece, hypothesis)

    def result(self) -> FileTranscript:
        """Return the transcript. Call after the last step."""
        if not (self._text.joined or self._warnings):
            self._warn(NO_WORDS if self._wordless else NO_SPEECH)
        more = (f"{self._unnamed_warnings} more warnings are omitted.",) if self._unnamed_warnings else ()
        return FileTranscript(
            self._text.joined,
            tuple(self._text.words),
            self._samples / SAMPLE_RATE,
            self._text.confidence,
            (*self._warnings, *more),
        )

    def _note_wordless(self, piece: Utterance) -> None:
        if self._doubtful:  # not speech, according to the recognizer
            return
        self._wordless += 1
        if piece.duration_s >= SURE_PIECE_S:
            begin_s = piece.start_sample / SAMPLE_RATE
            span = f"{clock(begin_s)} to {clock(begin_s + piece.duration_s)}"
            self._warn(f"No words were recognized from {span}, where there may be speech.")

    def _warn(self, sentence: str) -> None:
        if len(self._warnings) < MOST_WARNINGS:
            self._warnings.append(sentence)
        else:
            self._unnamed_warnings += 1

    def _score(self) -> Iterator[None]:
        rest: npt.NDArray[np.float32] | None = None
        for block in self._file.blocks(self._warn, self._mixdown):
            self._samples += len(block)
            if self._samples > self._max_samples:
                raise FileFault(f"the file is longer than {self._max_samples / SAMPLE_RATE / 3600:g} h: split it")
            rest = block if rest is None else np.concatenate((rest, block))
            whole = len(rest) // FRAME_SAMPLES
            self._map.note(rest[: whole * FRAME_SAMPLES].reshape(whole, FRAME_SAMPLES, *rest.shape[1:]))
            rest = rest[whole * FRAME_SAMPLES :]
            yield
        if rest is not None and len(rest) > 0:
            padding = np.zeros((FRAME_SAMPLES - len(rest), *rest.shape[1:]), np.float32)
            self._map.note(np.concatenate((rest, padding))[None])


def _taken(channels: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
    """Return one channel, or the mix in a part of the recording that lacks it, as joined recordings may."""
    return taken(channels, number) if number <= channels.shape[1] else mixed(channels)


def _as_they_are(channels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return channels


def _pieces(
    blocks: Iterable[npt.NDArray[np.float32]], spans: Iterable[Span]
) -> Iterator[tuple[int, npt.NDArray[np.float32] | None]]:
    """Yield the first sample and the samples of each span, and in between None for each block that was read.

    At most one piece and one block of the file are held.
    """
    source = iter(blocks)
    held: npt.NDArray[np.float32] | None = None
    held_from = 0
    for begin, end in spans:
        start_sample, end_sample = begin * FRAME_SAMPLES, end * FRAME_SAMPLES
        while (held is None or held_from + len(held) < end_sample) and (block := next(source, None)) is not None:
            held = block if held is None else np.concatenate((held, block))
            passed = min(max(start_sample - held_from, 0), len(held))
            held, held_from = held[passed:], held_from + passed
            yield held_from, None
        assert held is not None  # noqa: S101 - a file that has spans has blocks
        yield start_sample, held[start_sample - held_from : end_sample - held_from]


def _is_audible(level_db: npt.NDArray[np.float32]) -> bool:
    """Return whether frames of these levels may contain a voice."""
    loudest, quietest = float(level_db.max()), float(level_db.min())
    return loudest > AUDIBLE_DBFS or (loudest > FAINT_DBFS and loudest - quietest >= CONTRAST_DB)
