"""Agreement of the hypotheses of one utterance that is still being spoken: which of their words no longer change.

Each hypothesis is that of a longer beginning of the same utterance. Words on which two consecutive ones agree are stable:
LocalAgreement-2 of Machacek, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System" (2023). Stable words
are a prefix that only grows. A later hypothesis that contradicts them changes none of them, and adds the words behind them.

Which these are is decided by the words and not by their times: the times of one word differ between two runs by as much as
a short word lasts. The stable words are aligned with the beginning of the hypothesis to which their edit distance is least.

The last word of unfinished speech is often cut: one that reaches the end of the audio is left out until the next run. It
also often has a full stop that the next hypothesis lacks, so its final mark is neither compared nor shown, and never
becomes stable. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coldvoxd.core.edit_distance import distances_to_beginnings
from coldvoxd.core.seams import spelled, without_final_mark
from coldvoxd.core.values import Hypothesis

EDGE_S = 0.08
"""A word that ends less than this many seconds before the end of the audio may be cut. One frame of the encoder."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The words of the hypotheses so far."""

    stable: tuple[str, ...] = field(default=(), repr=False)
    """Words that never change."""
    rest: tuple[str, ...] = field(default=(), repr=False)
    """Words of the latest hypothesis behind the stable ones, as it has them."""

    @property
    def stable_text(self) -> str:
        return " ".join(self.stable)

    @property
    def unstable_text(self) -> str:
        return " ".join(_without_last_mark(self.rest))

    def with_hypothesis(self, text: str) -> "Agreement":
        """Return the agreement after the next hypothesis."""
        words = tuple(word for word in text.split() if _body(word))
        rest = words[_end_of(self.stable, words) :]
        count = _agreeing(self.rest, rest)
        agreed = rest[:count] if count < len(rest) else _without_last_mark(rest)
        return Agreement(self.stable + agreed, rest[count:])


def whole_words(hypothesis: Hypothesis, audio_s: float) -> str:
    """Return the text of `audio_s` seconds of unfinished speech, without a last word that may be cut."""
    words = hypothesis.words
    is_cut = bool(words) and words[-1].end_s > audio_s - EDGE_S
    return hypothesis.text.rpartition(" ")[0] if is_cut else hypothesis.text


def _end_of(stable: Sequence[str], words: Sequence[str]) -> int:
    """Return the number of words of a hypothesis that stand for the stable ones."""
    distances = distances_to_beginnings([*map(spelled, stable)], [*map(spelled, words)])
    return min(range(len(distances)), key=lambda end: (distances[end], abs(end - len(stable)), end))


def _agreeing(earlier: Sequence[str], later: Sequence[str]) -> int:
    """Return the number of first words that are the same in both, regardless of the final mark of a last word."""
    count = 0
    for one, other in zip(earlier, later, strict=False):
        count += 1
        is_last = count in {len(earlier), len(later)}
        if _body(one) != _body(other) or (one != other and not is_last):
            return count - 1
    return count


def _without_last_mark(words: tuple[str, ...]) -> tuple[str, ...]:
    return (*words[:-1], _body(words[-1])) if words else ()


def _body(word: str) -> str:
    return without_final_mark(word)[0]
