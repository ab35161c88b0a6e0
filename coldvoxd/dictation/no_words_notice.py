"""The outcome of a session, and when the user is notified that no words were recognized."""

from dataclasses import dataclass, replace
from enum import StrEnum

from coldvoxd.core.failover_notice import Notice

AGAIN_S = 10.0
"""Minimum time between two notifications, in seconds: about as long as a desktop shows one."""
NOTHING_RECOGNIZED = Notice(
    "No words were recognized",
    "Speech was heard, and no words were recognized in it. Please say it again, closer to the microphone. "
    "“coldvoxctl retry” recognizes the last utterance again.",
)
NOTHING_WORKED = Notice(
    "Speech could not be recognized",
    "Recognition failed, and the dictation returned no text. “coldvoxctl retry” recognizes the last utterance again; "
    "“coldvoxctl status” shows the error.",
)
NOTHING_HEARD = Notice(
    "The microphone is muted",
    "Nothing was heard in the dictation: the microphone is muted, or its volume is zero. "
    "Unmute it in the sound settings, and say it again.",
)


class Outcome(StrEnum):
    """The outcome of a session that was not discarded."""

    WORDS = "words"
    SILENCE = "silence"
    """The detector found no speech."""
    MUTED = "muted"
    """The detector found no speech, and the microphone is muted."""
    NO_WORDS = "no words"
    """Speech was detected, and the recognizer found no words in it."""
    FAILED = "failed"
    """Speech was detected, and its recognition failed."""


_NOTICES = {
    Outcome.NO_WORDS: NOTHING_RECOGNIZED,
    Outcome.FAILED: NOTHING_WORKED,
    Outcome.MUTED: NOTHING_HEARD,
}


@dataclass(frozen=True, slots=True)
class NoWordsState:
    """State that is kept from one session to the next."""

    holds: bool = False
    """Whether no words were recognized in the last session with speech."""
    notified_s: float = float("-inf")
    """Loop time of the last notification."""


def outcome_of(text: str, speech_samples: int, least_samples: int, *, failed: bool) -> Outcome:
    """Return the outcome of a session with this text and this much speech; less than `least_samples` of it is noise."""
    if text:
        return Outcome.WORDS
    if speech_samples < least_samples:
        return Outcome.SILENCE
    return Outcome.FAILED if failed else Outcome.NO_WORDS


def step(state: NoWordsState, outcome: Outcome, now_s: float) -> tuple[NoWordsState, Notice | None]:
    """Return the next state and the notification to show. Silence and a muted microphone don't change `holds`."""
    match outcome:
        case Outcome.WORDS:
            return replace(state, holds=False), None
        case Outcome.SILENCE:
            return state, None
        case Outcome.NO_WORDS | Outcome.FAILED | Outcome.MUTED:
            held = state if outcome is Outcome.MUTED else replace(state, holds=True)
            if now_s - state.notified_s < AGAIN_S:
                return held, None
            return replace(held, notified_s=now_s), _NOTICES[outcome]
