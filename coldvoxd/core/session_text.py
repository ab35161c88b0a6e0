"""The text of one session or recording, built from the texts of its utterances in their order."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cut_overlap import last_words, moved, moved_behind
from coldvoxd.core.seams import (
    LONGEST_BEFORE_S,
    LastTokens,
    SeamContext,
    SeamedText,
    SeamMethod,
    SeamRules,
    before_pause,
    seamed,
    spelled,
)
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Utterance, Word, WordTokens


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The last utterance that has words."""

    id: int
    end_sample: int
    """End of its speech."""
    tokens: LastTokens
    last_word: str = field(repr=False)
    samples: npt.NDArray[np.float32] = field(repr=False)


class SessionText:
    """Joins texts by their seams, and knows when a sentence is over. Without I/O; not for concurrent use."""

    def __init__(self, rules: SeamRules, pending: str | None = None) -> None:
        """`pending` is the final mark that is due from an earlier process; None if there was no text."""
        self.rules = rules
        self._joined = ""
        self._last = None if pending is None else SeamedText("", pending)
        self._continued = pending is not None
        """Whether the next text is the first one here, but not the first of its session."""
        self._earlier: _Earlier | None = None
        self._closed = False
        self._last_words: tuple[int, tuple[Word, ...], tuple[WordTokens, ...]] | None = None
        """End of the last utterance in samples, its last words, and those behind its end, in seconds from sample 0."""

    @property
    def text(self) -> str:
        """All texts so far, joined: bodies, seams and the last final mark."""
        return self._joined + (self._last.pending if self._last and not self._continued else "")

    def following(self, utterance: Utterance) -> Utterance:
        """Return the next utterance with what its recognition needs to know of the earlier one."""
        return replace(self.with_words_before(utterance), context=self.context_of(utterance))

    def with_words_before(self, utterance: Utterance) -> Utterance:
        """Return an utterance with the words of the earlier one if it begins with audio of that."""
        if not utterance.overlap.lead or self._last_words is None:
            return utterance
        end_sample, words, behind = self._last_words
        if end_sample != utterance.own_start_sample:
            return utterance
        shift_s = -utterance.start_sample / SAMPLE_RATE
        overlap = replace(utterance.overlap, before=moved(words, shift_s), behind=moved_behind(behind, shift_s))
        return replace(utterance, overlap=overlap)

    def context_of(self, utterance: Utterance) -> SeamContext | None:
        """Return what the recognizer needs to determine the seam before an utterance.

        None if the seam does not depend on it: for the first text, after a long pause, or where seams are off.
        """
        earlier, rules = self._earlier, self.rules
        if (
            earlier is None
            or rules.method is SeamMethod.OFF
            or self._closed
            or self.is_over(utterance.speech_start_sample)
        ):
            return None
        return SeamContext(rules.method, earlier.tokens, earlier.last_word, earlier.samples, rules.limit_s)

    def add(self, utterance: Utterance, hypothesis: Hypothesis) -> SeamedText:
        """Append the text of the next utterance, which has words, and return it as it continues the session."""
        if self.rules.method is SeamMethod.OFF:
            added = SeamedText(hypothesis.text, "", " " if self._last else "")
        else:
            is_over = self._closed or self.is_over(utterance.speech_start_sample)
            finding = hypothesis.seam if utterance.context is not None and not is_over else None
            added = seamed(hypothesis.text, finding, self._last, is_over=is_over)
        self._joined += (added.seam if not self._continued else "") + added.body
        self._last, self._continued, self._closed = added, False, False
        behind = moved_behind(hypothesis.behind, utterance.start_sample / SAMPLE_RATE)
        self._last_words = (utterance.own_end_sample, last_words(utterance, hypothesis), behind)
        self._earlier = _earlier_of(utterance, hypothesis, hypothesis.last_tokens) if hypothesis.last_tokens else None
        return added

    def fail(self) -> None:
        """Handle that an utterance was not recognized: the next one begins a new sentence."""
        self._earlier = self._last_words = None

    def is_over(self, sample: int) -> bool:
        """Return whether the last sentence is over, if there is no speech before this sample."""
        earlier = self._earlier
        return earlier is not None and sample - earlier.end_sample >= self.rules.longest_pause_s * SAMPLE_RATE

    def close(self, sample: int) -> int:
        """End the last sentence if it is over at this sample.

        Return the number of its last utterance if it has ended just now, otherwise 0. The next text begins a new sentence.
        """
        if self._earlier is None or self._closed or self.rules.method is SeamMethod.OFF or not self.is_over(sample):
            return 0
        self._closed = True
        return self._earlier.id

    def clear(self) -> None:
        """Discard all texts."""
        self._joined, self._last, self._earlier, self._last_words = "", None, None, None


def _earlier_of(utterance: Utterance, hypothesis: Hypothesis, tokens: LastTokens) -> _Earlier:
    last_word = spelled(hypothesis.text.rpartition(" ")[2])
    own = utterance.without_overlap()
    samples = before_pause(own.samples, own.speech, round(LONGEST_BEFORE_S * SAMPLE_RATE)).copy()
    return _Earlier(utterance.id, utterance.speech_end_sample, tokens, last_word, samples)
