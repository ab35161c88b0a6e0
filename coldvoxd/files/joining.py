"""Joins the transcripts of the pieces of one recording. Pure."""

import math
from dataclasses import replace

from coldvoxd.audio.streams import later
from coldvoxd.core.file_values import NO_SPEECH, NO_WORDS, FileTranscript
from coldvoxd.core.values import Word
from coldvoxd.files.overlap import joint


class Joining:
    """The transcript of a recording, of which pieces are recognized in order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._words: list[Word] = []
        self._last = 0
        """Number of words of the last piece, at the end of `_words`."""
        self._warnings: list[str] = []
        self._empty = ""
        """The warning of a piece without words."""
        self._logprobs = 0.0
        self._count = 0
        self._end_s = 0.0

    def add(self, transcript: FileTranscript, start_s: float, end_s: float) -> None:
        """Append the transcript of the piece from `start_s` to `end_s` seconds, which may begin before the last's end.

        It must have words if the piece is not the only one.
        """
        words = [replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s) for word in transcript.words]
        text = transcript.text
        if start_s < self._end_s:
            last = self._words[len(self._words) - self._last :]
            kept, dropped = joint(last, words, start_s, self._end_s)
            if kept < len(last):
                del self._words[len(self._words) - len(last) + kept :]
                self._texts[-1] = _text(last[:kept])
            if dropped:
                words = words[dropped:]
                text = _text(words)
        for warning in transcript.warnings:
            if warning in {NO_SPEECH, NO_WORDS}:
                self._empty = self._empty if self._empty == NO_WORDS else warning
            else:
                self._warnings.append(later(warning, start_s))
        weight = len(transcript.words) or (1 if transcript.text else 0)
        if weight and transcript.confidence > 0:
            self._logprobs += weight * math.log(transcript.confidence)
            self._count += weight
        self._texts.append(text)
        self._words += words
        self._last, self._end_s = len(words), end_s

    def warn(self, sentence: str) -> None:
        """Append a warning whose times are those of the recording."""
        self._warnings.append(sentence)

    def result(self) -> FileTranscript:
        """Return the transcript; its confidence is the geometric mean of the pieces', weighted by their words."""
        text = " ".join(filter(None, self._texts))
        empty = [self._empty] if self._empty and not text and not self._warnings else []
        confidence = math.exp(self._logprobs / self._count) if self._count else 0.0
        return FileTranscript(text, tuple(self._words), self._end_s, confidence, (*self._warnings, *empty))


def _text(words: list[Word]) -> str:
    return " ".join(word.text for word in words)
