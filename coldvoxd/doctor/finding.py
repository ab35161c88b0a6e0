"""What a check says: a finding, or what it is about to do."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Dictation works, or will, but not as it could."""
    FAIL = "fail"
    """Dictation can't work like this."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for a person."""

    part: str
    verdict: Verdict
    text: str
    remedy: str = ""
    """What to do, where something is to be done."""


@dataclass(frozen=True, slots=True)
class Doing:
    """Said before something that may hang, so that a time limit can tell what hung."""

    part: str
    text: str
    """Completes "no answer while ...": `opening the microphone`."""
    remedy: str


def ok(part: str, text: str) -> Finding:
    """All is well there."""
    return Finding(part, Verdict.OK, text)


def warn(part: str, text: str, remedy: str = "") -> Finding:
    """Works, but worth knowing."""
    return Finding(part, Verdict.WARN, text, remedy)


def fail(part: str, text: str, remedy: str) -> Finding:
    """Doesn't work; a remedy is owed."""
    return Finding(part, Verdict.FAIL, text, remedy)
