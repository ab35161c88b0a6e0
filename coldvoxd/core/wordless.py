"""What a session came to, and what a person learns where speech gave no words."""

from dataclasses import dataclass, replace
from enum import StrEnum

from coldvoxd.core.notice import Notice

AGAIN_S = 10.0
"""Notifications of sessions without words are at least this far apart: about as long as a desktop shows one."""
NOTHING_RECOGNIZED = Notice(
    "No words were recognized",
    "Speech was heard, and no words were recognized in it. Please say it again, closer to the microphone. "
    "“coldvoxctl retry” tries the last utterance once more.",
)
NOTHING_WORKED = Notice(
    "Speech could not be recognized",
    "Recognition failed, and the dictation gave no text. “coldvoxctl retry” tries the last utterance once more; "
    "“coldvoxctl status” shows the error.",
)


class Outcome(StrEnum):
    """What a session that was not thrown away came to."""

    WORDS = "words"
    SILENCE = "silence"
    """The detector found no speech."""
    NO_WORDS = "no words"
    """Speech was heard, and the recognizer found no words in it."""
    FAILED = "failed"
    """Speech was heard, and recognizing it failed."""


@dataclass(frozen=True, slots=True)
class WordlessState:
    """What is known between two sessions."""

    holds: bool = False
    """The last session with speech gave no words."""
    notified_s: float = float("-inf")


def outcome_of(text: str, speech_samples: int, least_samples: int, *, failed: bool) -> Outcome:
    """What came of a session with this text, in which so much speech was heard; less than the least is noise."""
    if text:
        return Outcome.WORDS
    if speech_samples < least_samples:
        return Outcome.SILENCE
    return Outcome.FAILED if failed else Outcome.NO_WORDS


def step(state: WordlessState, outcome: Outcome, now_s: float) -> tuple[WordlessState, Notice | None]:
    """The next state, and what is to be shown. Silence changes nothing: it proves neither."""
    match outcome:
        case Outcome.WORDS:
            return replace(state, holds=False), None
        case Outcome.SILENCE:
            return state, None
        case Outcome.NO_WORDS | Outcome.FAILED:
            held = replace(state, holds=True)
            if now_s - state.notified_s < AGAIN_S:
                return held, None
            return replace(held, notified_s=now_s), (
                NOTHING_RECOGNIZED if outcome is Outcome.NO_WORDS else NOTHING_WORKED
            )
