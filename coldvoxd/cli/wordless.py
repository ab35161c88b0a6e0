"""What a session lost, and the reason why it returned no text, for the person who spoke."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.problems import Problem
from coldvoxd.core.sentences import sentences

LIMIT_S = 5.0
"""Seconds for which the command's result waits for the reason."""
WITHOUT_WORDS, WITH_GAPS = "sessions-without-words", "sessions-with-gaps"
"""Counters of GetMetrics."""
NO_SPEECH = "no-speech"
UNKNOWN = "unknown"
GAPS = "Some audio of this dictation was lost, so words may be missing; the log of coldvoxd has the reason."
MUTED = "The microphone is muted, or its volume is zero: unmute it in the sound settings."
_NO_WORDS = (
    "Speech was heard, but no words were recognized in it. `coldvoxctl retry` recognizes the last utterance again."
)
_NO_WORDS_IN_LAST = "No words were recognized in the last utterance."
_NO_SPEECH = "No speech was heard. `coldvoxctl devices` shows which microphone is in use."
_NO_SPEECH_OR_PRIVATE = "No speech was heard, or the session was private to another program."
_LOUDER = "raise the microphone's volume, or speak closer to it."
_QUIET = f"Speech was heard, but it was too quiet for words to be recognized: {_LOUDER}"
_QUIET_BEFORE = f"No speech was heard, and earlier speech was very quiet: {_LOUDER}"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no text."""

    code: str
    """One of the microphone's codes in `Problems`, `no-words`, `no-speech` or `unknown`."""
    sentence: str
    """A sentence for a person, which says what to do if possible."""

    @property
    def fields(self) -> dict[str, Any]:
        """The additional keys of --json output."""
        return {"empty_reason": self.code, "message": self.sentence}


NO_WORDS_IN_LAST = Reason(Problem.NO_WORDS, _NO_WORDS_IN_LAST)
"""The reason after RetryLast."""


def reason_for(
    problems: Collection[str], microphone_problem: str, *, spoken: bool | None, may_be_private: bool = False
) -> Reason:
    """The reason, from the problem codes after the session and the sentence in Microphone1.Problem.

    `spoken` is whether the daemon counted the session as one with speech but without words; None if unknown.
    """
    is_quiet = Problem.MICROPHONE_QUIET in problems
    if spoken:
        return Reason(Problem.MICROPHONE_QUIET if is_quiet else Problem.NO_WORDS, _QUIET if is_quiet else _NO_WORDS)
    if Problem.MICROPHONE_LOST in problems:
        return Reason(Problem.MICROPHONE_LOST, sentences("Nothing was heard.", microphone_problem))
    if Problem.MICROPHONE_MUTED in problems:
        return Reason(Problem.MICROPHONE_MUTED, f"Nothing was heard. {MUTED}")
    if is_quiet:
        return Reason(Problem.MICROPHONE_QUIET, _QUIET_BEFORE)
    if spoken is None:
        return Reason(UNKNOWN, "No words were recognized.")
    return Reason(NO_SPEECH, _NO_SPEECH_OR_PRIVATE if may_be_private else _NO_SPEECH)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a person has to know about a session that has ended."""

    reason: Reason | None
    """Why there is no text; None if there is."""
    has_gaps: bool
    """Whether audio was lost in it."""

    @property
    def fields(self) -> dict[str, Any]:
        """The additional keys of --json output."""
        return (self.reason.fields if self.reason else {}) | ({"audio_lost": True} if self.has_gaps else {})

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences for stderr."""
        return ((GAPS,) if self.has_gaps else ()) + ((self.reason.sentence,) if self.reason else ())


class SessionEndings:
    """Determines after the end of a session what was lost in it, and why it has no text. Event loop only."""

    def __init__(self, daemon: DaemonClient) -> None:
        self._daemon = daemon
        self._counted: asyncio.Future[Mapping[str, int]] | None = None

    def begin(self) -> None:
        """Record the metrics at the start of a session. The daemon is asked before any later call of this client."""
        if self._counted is not None:
            self._counted.cancel()
        self._counted = asyncio.ensure_future(self._counts())

    async def ending(self, transcript: str, *, may_be_private: bool = False) -> Ending:
        """What is to be reported about the session that has just ended with this text."""
        try:
            async with asyncio.timeout(LIMIT_S):
                before = await self._counted if self._counted is not None else {}
                after = await self._counts()
                has_gaps = bool(_grew(WITH_GAPS, before, after))
                if transcript:
                    return Ending(None, has_gaps)
                problems = (await self._daemon.status()).get("Problems", ())
                microphone_problem = (await self._daemon.microphone())["Problem"]
        except ColdvoxError as error:
            return _unknown(transcript, f"The reason is unknown: {error}")
        except TimeoutError:
            return _unknown(transcript, f"coldvoxd did not give the reason within {LIMIT_S:g} s.")
        spoken = _grew(WITHOUT_WORDS, before, after)
        return Ending(reason_for(problems, microphone_problem, spoken=spoken, may_be_private=may_be_private), has_gaps)

    async def _counts(self) -> Mapping[str, int]:
        """The counters; empty if they are unknown: the error of the session's own call counts."""
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._daemon.counters((WITHOUT_WORDS, WITH_GAPS))
        except (ColdvoxError, TimeoutError):
            return {}


def _grew(name: str, before: Mapping[str, int], after: Mapping[str, int]) -> bool | None:
    """Whether the daemon counted the session; None if that is unknown."""
    return after[name] > before[name] if name in before and name in after else None


def _unknown(transcript: str, why: str) -> Ending:
    return Ending(None if transcript else Reason(UNKNOWN, f"No words were recognized. {why}"), has_gaps=False)


async def stopped(daemon: DaemonClient) -> tuple[str, Ending]:
    """Stop the session; return its text and what else is to be reported. Raises ColdvoxError."""
    sessions = SessionEndings(daemon)
    sessions.begin()
    await asyncio.sleep(0)  # so that the daemon is asked for its counts before the session ends
    transcript = await daemon.stop()
    return transcript, await sessions.ending(transcript)


async def deaf(daemon: DaemonClient) -> Reason | None:
    """Why no audio can be received now; None if it can be, or if that is unknown."""
    try:
        async with asyncio.timeout(LIMIT_S):
            problems = (await daemon.status()).get("Problems", ())
            if Problem.MICROPHONE_LOST in problems:
                return Reason(Problem.MICROPHONE_LOST, str((await daemon.microphone())["Problem"]))
    except (ColdvoxError, TimeoutError):  # the command itself succeeded
        return None
    return Reason(Problem.MICROPHONE_MUTED, MUTED) if Problem.MICROPHONE_MUTED in problems else None
