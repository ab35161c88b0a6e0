"""What a bus client received of a session's texts, and how they are compared with what was spoken."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.bus.private_bus import Signal


@dataclass(slots=True)
class Texts:
    """What one client got of a session, doubles dropped by pair."""

    texts: dict[int, str]
    """By utterance, in the order in which they came first."""
    doubles: int
    retried: int
    stops: list[tuple[str, str]]
    """Reasons and transcripts."""
    unmarked: int = 0
    """Doubles without the detail `retried`, and doubles whose text differs from the first: the interface allows neither."""

    @property
    def joined(self) -> str:
        return " ".join(self.texts.values())


def texts_of(session: int, signals: Sequence[Signal]) -> Texts:
    found = Texts({}, 0, 0, [])
    for signal in signals:
        if signal.member == "Transcribed" and signal.body[0] == session:
            _, utterance, text, details = signal.body
            retried = bool(details["retried"].value)
            if utterance in found.texts:
                found.doubles += 1
                found.unmarked += not retried or text != found.texts[utterance]
            else:
                found.texts[utterance] = text
                found.retried += retried
        elif signal.member == "DictationStopped" and signal.body[0] == session:
            found.stops.append((signal.body[1], signal.body[2]))
    return found


def plain(text: str) -> str:
    """The words alone, in small letters."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def padded(text: str) -> str:
    """Each of the words with a space on both sides: in this, `count` finds whole words only, and both of two that follow each other."""
    return "".join(f" {word} " for word in plain(text).split())
