"""The reason why a session returned no text, for the person who spoke."""

import asyncio
from collections.abc import Collection
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


class WordlessSessions:
    """Determines the reason after a session has ended without text. Event loop only."""

    def __init__(self, daemon: DaemonClient) -> None:
        self._daemon = daemon
        self._counted: asyncio.Future[int | None] | None = None

    def begin(self) -> None:
        """Record the metrics at the start of a session. The daemon is asked before any later call of this client."""
        if self._counted is not None:
            self._counted.cancel()
        self._counted = asyncio.ensure_future(self._count())

    async def reason(self, *, may_be_private: bool = False) -> Reason:
        """Why the session that has just ended returned no text."""
        try:
            async with asyncio.timeout(LIMIT_S):
                before = await self._counted if self._counted is not None else None
                after = await self._daemon.counter(WITHOUT_WORDS)
                problems = (await self._daemon.status()).get("Problems", ())
                microphone_problem = (await self._daemon.microphone())["Problem"]
        except ColdvoxError as error:
            return Reason(UNKNOWN, f"No words were recognized. The reason is unknown: {error}")
        except TimeoutError:
            return Reason(UNKNOWN, f"No words were recognized. coldvoxd did not give the reason within {LIMIT_S:g} s.")
        spoken = None if before is None or after is None else after > before
        return reason_for(problems, microphone_problem, spoken=spoken, may_be_private=may_be_private)

    async def _count(self) -> int | None:
        try:
            return await self._daemon.counter(WITHOUT_WORDS)
        except ColdvoxError:  # the error of the session's own call counts
            return None


@dataclass(frozen=True, slots=True)
class StoppedSession:
    """A session that was stopped."""

    transcript: str
    reason: Reason | None
    """Why there is no text; None if there is."""
    has_gaps: bool
    """Whether audio was lost in it."""


async def stopped(daemon: DaemonClient) -> StoppedSession:
    """Stop the session. Raises ColdvoxError."""
    sessions = WordlessSessions(daemon)
    sessions.begin()
    counting = asyncio.ensure_future(_count_gaps(daemon))
    await asyncio.sleep(0)  # so that the daemon is asked for its counts before the session ends
    try:
        transcript = await daemon.stop()
        before = await counting
    finally:
        counting.cancel()
    after = await _count_gaps(daemon)
    has_gaps = before is not None and after is not None and after > before
    return StoppedSession(transcript, None if transcript else await sessions.reason(), has_gaps)


async def _count_gaps(daemon: DaemonClient) -> int | None:
    """The number of sessions with lost audio; None if it is unknown: the error of the session's own call counts."""
    try:
        async with asyncio.timeout(LIMIT_S):
            return await daemon.counter(WITH_GAPS)
    except (ColdvoxError, TimeoutError):
        return None


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
