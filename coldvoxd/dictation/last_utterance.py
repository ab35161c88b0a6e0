"""Keeps the last utterance in memory for RetryLast, until the next one or until its session is discarded."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from coldvoxd.core.errors import NotActive, NotOwner, TextTimeout
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.recipients import may_read
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import Hypothesis, Utterance
from coldvoxd.dictation.utterance_handover import packed, unpacked

log = logging.getLogger(__name__)

RETRY_LIMIT_S = 20.0
"""Bus callers time out after 25 s by default; RetryLast answers before that."""


class UtteranceSource(Protocol):
    """The session of an utterance, as far as needed here."""

    @property
    def id(self) -> int: ...

    @property
    def text_recipient(self) -> str | None:
        """The only client that may read its text; None if every client may."""
        ...

    @property
    def discarded(self) -> bool:
        """Whether the session was discarded; may become true at any time."""
        ...


@dataclass(frozen=True, slots=True)
class EarlierSession:
    """A session of an earlier process."""

    id: int
    text_recipient: str | None
    discarded: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    utterance: Utterance
    source: UtteranceSource


class LastUtterance:
    """Keeps one utterance and recognizes it again on request. Implements RetryControl. Event loop only."""

    def __init__(
        self,
        recognize: Callable[[Utterance], Awaitable[Hypothesis]],
        metrics: Metrics,
        on_words: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_words` is called when a retry has recognized words."""
        self._recognize = recognize
        self._metrics = metrics
        self._on_words = on_words
        self._kept: _Kept | None = None

    def keep(self, utterance: Utterance, source: UtteranceSource) -> None:
        """Keep an utterance in place of the previous one."""
        self._kept = _Kept(utterance, source)

    def note_words_before(self, utterance: Utterance) -> None:
        """Keep the words before the utterance with it, if it is the last one: they are known when its recognition begins."""
        kept = self._kept
        if kept is not None and kept.utterance.id == utterance.id and utterance.overlap.before is not None:
            known = utterance.overlap
            overlap = replace(kept.utterance.overlap, before=known.before, behind=known.behind)
            self._kept = replace(kept, utterance=replace(kept.utterance, overlap=overlap))

    def keep_earlier(self, session: SpooledSession, utterance: Utterance) -> None:
        """Keep an utterance of an earlier process, unless there is a newer one."""
        self._keep_unless_newer(utterance, session.recipient)

    def carried(self) -> dict[str, Any] | None:
        """Return the utterance as JSON for the process that replaces this one; None if there is none."""
        if self._kept is None:
            return None
        return {"utterance": packed(self._kept.utterance), "reader": self._kept.source.text_recipient}

    def resume(self, carried: dict[str, Any]) -> None:
        """Keep what `carried` returned in an earlier process on the same bus, unless there is a newer one."""
        try:
            utterance, recipient = unpacked(carried["utterance"]), carried["reader"]
        except (ValueError, TypeError, KeyError) as error:
            log.warning("cannot read the last utterance of the earlier process: %s", error)
            return
        self._keep_unless_newer(utterance, recipient)

    def discard(self, source: UtteranceSource) -> None:
        """Discard the utterance if it belongs to this session."""
        if self._kept is not None and self._kept.source is source:
            self._kept = None

    async def retry_last(self, caller: str, utterance: int = 0, language: str = "") -> str:
        """Implements RetryControl."""
        return (await self.recognize_last(caller, utterance, language)).text

    async def recognize_last(
        self, caller: str, utterance: int = 0, language: str = "", alternatives: int = 0
    ) -> Hypothesis:
        """Implements RetryControl."""
        kept = self._kept
        if kept is None:
            raise NotActive("There is no utterance to recognize again: there was none, or its session was cancelled.")
        if utterance not in (0, kept.utterance.id):
            raise NotActive(f"Utterance {utterance} is not the last one: only the last one's audio is kept.")
        if not may_read(caller, kept.source.text_recipient):
            raise NotOwner("The last utterance is private to another program; only that program can retry it.")
        self._metrics.count(Count.RETRIES)
        again = replace(kept.utterance, language=language or kept.utterance.language, alternatives=alternatives)
        try:
            async with asyncio.timeout(RETRY_LIMIT_S):
                hypothesis = await self._recognize(again)
        except TimeoutError:
            raise TextTimeout(
                f"Recognizing utterance {kept.utterance.id} again takes longer than {RETRY_LIMIT_S:.0f} s; "
                "try again when fewer utterances are queued."
            ) from None
        self._metrics.recognized(hypothesis)
        if kept.source.discarded:
            raise NotActive(f"Session {kept.source.id} was discarded in the meantime, including its utterances.")
        if hypothesis.text:
            self._on_words()
        return hypothesis

    def _keep_unless_newer(self, utterance: Utterance, recipient: str | None) -> None:
        if self._kept is None or self._kept.utterance.id < utterance.id:
            self._kept = _Kept(utterance, EarlierSession(utterance.session_id, recipient))
