"""The output of a check: findings, and announcements of what it is about to do."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    """Dictation works, but not as well as it could."""
    FAIL = "fail"
    """Dictation does not work until this is fixed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for a person."""

    part: str
    verdict: Verdict
    text: str
    remedy: str = ""
    """What to do, if anything."""


@dataclass(frozen=True, slots=True)
class Doing:
    """Announces an operation that may hang, so that a time limit can report what hung."""

    part: str
    text: str
    """Completes "no response within N s while ...": `opening the microphone`."""
    remedy: str


def ok(part: str, text: str) -> Finding:
    """There is no problem."""
    return Finding(part, Verdict.OK, text)


def warn(part: str, text: str, remedy: str = "") -> Finding:
    """It works, with a restriction."""
    return Finding(part, Verdict.WARN, text, remedy)


def fail(part: str, text: str, remedy: str) -> Finding:
    """It does not work; the remedy is required."""
    return Finding(part, Verdict.FAIL, text, remedy)
