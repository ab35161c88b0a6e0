"""The last utterance, kept for RetryLast: in memory, until the next one or until its session is thrown away."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from coldvoxd.core.errors import NotActive, NotOwner, TextTimeout
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.recipients import may_read
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.dictation.session import GoneSession, Session
from coldvoxd.dictation.utterance_handover import packed


@dataclass(frozen=True, slots=True)
class _Kept:
    utterance: Utterance
    session: Session | GoneSession


class LastUtterance:
    """One place; event loop only."""

    def __init__(self, recognize: Callable[[Utterance], Awaitable[Hypothesis]], metrics: Metrics) -> None:
        self._recognize = recognize
        self._metrics = metrics
        self._kept: _Kept | None = None

    def keep(self, utterance: Utterance, session: Session) -> None:
        """It takes the place of any other."""
        self._kept = _Kept(utterance, session)

    def keep_unless_newer(self, utterance: Utterance, session: GoneSession) -> None:
        """One of an earlier process."""
        if self._kept is None or self._kept.utterance.id < utterance.id:
            self._kept = _Kept(utterance, session)

    def carried(self) -> dict[str, Any] | None:
        """It, for the process that takes this one's place; None where there is none."""
        if self._kept is None:
            return None
        return {"utterance": packed(self._kept.utterance), "reader": self._kept.session.text_reader}

    def throw_away(self, session: Session) -> None:
        """Nothing of that session may be had any more."""
        if self._kept is not None and self._kept.session is session:
            self._kept = None

    async def recognize_again(self, caller: str, limit_s: float) -> str:
        """Its text. Raises NotActive, NotOwner, TextTimeout, and what the recognizer raises."""
        kept = self._kept
        if kept is None:
            raise NotActive("There is no utterance to recognize again: none was heard, or its session was cancelled.")
        if not may_read(caller, kept.session.text_reader):
            raise NotOwner("The last utterance is private to another program; only that program can have it again.")
        self._metrics.count(Count.RETRIES)
        try:
            hypothesis = await asyncio.wait_for(self._recognize(kept.utterance), limit_s)
        except TimeoutError:
            raise TextTimeout(
                f"Recognizing utterance {kept.utterance.id} again takes longer than {limit_s:.0f} s; "
                "try again when less is waiting."
            ) from None
        self._metrics.recognized(hypothesis)
        if kept.session.thrown_away:
            raise NotActive(f"Session {kept.session.id} was thrown away meanwhile, and its utterances with it.")
        return hypothesis.text
