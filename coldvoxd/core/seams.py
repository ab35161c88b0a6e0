"""Seams: how the texts of a session's utterances become whole sentences.

Each utterance is recognized by itself, so its text begins with a capital letter and ends with a full stop wherever the
speaker paused. A seam is what stands between two of them. A recognizer that receives the `SeamContext` of an utterance
returns a `SeamFinding`: whether the sentence continues. The text itself is never changed by it. Pure.

The text of a session is body 1 + seam 2 + body 2 + ... + body n + pending n.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from coldvoxd.core.speech_spans import SpeechSpan

LONGEST_BEFORE_S = 3.0
"""Seconds of audio of the earlier utterance that the window includes."""
LONGEST_AFTER_S = 3.0
"""Seconds of audio of the later utterance that the window includes."""
MARGIN = 2048
"""Samples of the pause on either side of it that the window keeps: 128 ms, the `tail_ms` of an utterance. A model that takes each
pause for the end of a sentence then decides by the words. Of 55 pauses inside sentences the bundled model joins 50, with 96 ms 52 and
with 64 ms 53; of 552 pairs of sentences it joins 7, with 96 ms 15 and with 64 ms 34 (contrib/trials/seams.py)."""
MOST_TOKENS = 16
"""Number of last tokens of the earlier utterance that the prediction network reads: about eight words. Each costs one run."""
MARKS = ".,?!;:\u2026"
"""Marks that can stand between two texts, or at the end of one."""
ENDS = ".?!\u2026"
"""Those that end a sentence."""
_FINAL_MARKS = re.compile(rf"[{MARKS}]+\Z")
AUTO = "auto"
"""The setting that selects the method that suits the model."""
AUTO_LIMIT_S = 0.25
"""Maximum predicted time, in seconds, of recognizing a window with the setting `auto`: it delays the text by as much."""


class SeamMethod(StrEnum):
    """How a recognizer determines whether a sentence continues after a pause."""

    STATE = "state"
    """The decoder reads the last tokens of the session before the first word. No run of the encoder."""
    WINDOW = "window"
    """The audio before and after the pause is recognized again, together."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SeamRules:
    """How the seams of a session are determined."""

    method: SeamMethod = SeamMethod.OFF
    longest_pause_s: float = 2.5
    """After this many seconds without speech, a new sentence begins in any case."""
    limit_s: float = math.inf
    """`SeamContext.limit_s`."""

    @classmethod
    def of(cls, setting: str, model_method: SeamMethod, longest_pause_s: float) -> "SeamRules":
        """Return the rules for a value of the setting `seam`. `model_method` is the method that suits the model."""
        if setting == AUTO:
            return cls(model_method, longest_pause_s, AUTO_LIMIT_S)
        return cls(SeamMethod(setting), longest_pause_s)


NO_SEAMS = SeamRules()
"""Texts are joined by spaces, as they are."""


@dataclass(frozen=True, slots=True)
class LastTokens:
    """The last tokens of an utterance, without its final mark."""

    vocabulary: str
    """Identifies the vocabulary; the tokens have no meaning in another one."""
    ids: tuple[int, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SeamContext:
    """What a recognizer receives about the earlier utterance, to determine the seam before this one."""

    method: SeamMethod
    tokens: LastTokens
    last_word: str = field(repr=False)
    """Its last word, as `spelled` returns it."""
    samples: npt.NDArray[np.float32] = field(repr=False, compare=False)
    """The end of its audio, up to the pause: float32 (n,), 16 kHz."""
    limit_s: float = math.inf
    """Maximum predicted time, in seconds, of recognizing the window; above it the seam remains unknown."""


@dataclass(frozen=True, slots=True)
class SeamFinding:
    """What a recognizer found between an utterance and the earlier one."""

    continues: bool
    """Whether the sentence of the earlier utterance continues."""
    mark: str = ""
    """The mark between both: a comma or nothing if the sentence continues, otherwise its final mark or nothing."""
    lowers: bool = False
    """Whether the first letter is lower case, although the text by itself begins with a capital letter."""


@dataclass(frozen=True, slots=True)
class SeamedText:
    """The text of an utterance as it continues its session."""

    body: str = field(repr=False)
    """The text without its final mark. Its first letter is lower case if it continues a sentence."""
    pending: str = ""
    """The final mark that `body` lacks: it is due when the sentence is over."""
    seam: str = ""
    """What stands between the body of the earlier utterance and this one; empty for the first of a session."""


def seamed(text: str, finding: SeamFinding | None, before: SeamedText | None, *, is_over: bool = False) -> SeamedText:
    """Return a text as it continues a session whose last text is `before`, None for its first text.

    `is_over` says that the sentence before is over: it gets a full stop if it has no mark. Without a finding the text begins
    a new sentence too, but that is not known, so no mark is added.
    """
    body, pending = without_final_mark(text)
    if before is None:
        return SeamedText(body, pending)
    if is_over:
        return SeamedText(body, pending, f"{before.pending or _full_stop(before.body)} ")
    if finding is None:
        return SeamedText(body, pending, f"{before.pending} ")
    if not finding.continues:
        # A full stop may be a question of which only the last seconds were recognized; a question mark is no full stop.
        found = finding.mark if before.pending in {"", ".", ","} else ""
        return SeamedText(body, pending, f"{found or before.pending or _full_stop(before.body)} ")
    return SeamedText(
        lowered(body) if finding.lowers else body, pending, f"{finding.mark or before.pending.strip(ENDS)} "
    )


def _full_stop(body: str) -> str:
    """Return the mark of a sentence that is over and has none."""
    return "." if body[-1:].isalnum() else ""


def without_final_mark(text: str) -> tuple[str, str]:
    """Return a text without its final mark, and the mark; a text of marks alone has an empty body."""
    match = _FINAL_MARKS.search(text)
    return (text[: match.start()], match.group()) if match else (text, "")


def lowered(text: str) -> str:
    """Return a text with its first letter in lower case."""
    return text[:1].lower() + text[1:]


def spelled(word: str) -> str:
    """Return the letters and digits of a word, in lower case; empty for punctuation."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def before_pause(samples: npt.NDArray[np.float32], speech: Sequence[SpeechSpan], most: int) -> npt.NDArray[np.float32]:
    """Return the end of an utterance, up to `MARGIN` samples after its last speech, at most `most` samples."""
    end = min(len(samples), speech[-1][1] + MARGIN) if speech else len(samples)
    return samples[max(0, end - most) : end]


def after_pause(samples: npt.NDArray[np.float32], speech: Sequence[SpeechSpan], most: int) -> npt.NDArray[np.float32]:
    """Return the beginning of an utterance, from `MARGIN` samples before its first speech, at most `most` samples."""
    begin = max(0, speech[0][0] - MARGIN) if speech else 0
    return samples[begin : begin + most]
