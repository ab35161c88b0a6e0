"""The texts of a session as received by a bus client, and their comparison with the speech."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.bus.private_bus import Signal


@dataclass(slots=True)
class Texts:
    """One client's texts of a session, without duplicates of a pair."""

    texts: dict[int, str]
    """Texts by utterance, in the order of their first arrival."""
    doubles: int
    retried: int
    stops: list[tuple[str, str]]
    """Reasons and transcripts."""
    unmarked: int = 0
    """Duplicates without the detail `retried` or with a different text: the interface allows neither."""

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
    """Return the words only, in lower case."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def padded(text: str) -> str:
    """Return the words, each with a space on both sides, so that `count` finds whole words only, even adjacent ones."""
    return "".join(f" {word} " for word in plain(text).split())
