"""A session that was interrupted by a crash: its audio in the spool, and its utterances without text."""

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core import spool_format
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.spool_format import NumberedCut, Segment, SpooledSession
from coldvoxd.core.values import Utterance
from coldvoxd.crash_recovery.segment_file import append, create

UNDECIDED_S = -1.0
"""Value of `decided_s` for an utterance that had no endpoint when the process died."""


@dataclass(frozen=True, slots=True)
class PendingUtterance:
    """An utterance whose text no client may have received."""

    utterance: Utterance
    attempts: int
    """Number of recognitions that started and whose outcome is unknown: they may have crashed the process."""
    decided_s: float | None
    """Monotonic time of the endpoint; None if the crash came before it."""


class InterruptedSession:
    """The segment files of one session. They are updated while it is finished, so that a second crash loses nothing."""

    def __init__(self, number: int, segments: Mapping[Path, Segment], quarantine: Path) -> None:
        """`segments` holds at least one, in the order in which they were written.

        `quarantine` is the path of the file for an utterance that is given up.
        """
        self.number = number
        self.session: SpooledSession = next(iter(segments.values())).session
        self._segments = dict(segments)
        self._quarantine = quarantine
        self._quarantined = False
        self._path_of: dict[int, Path] = {}
        """Segment file of each utterance, by utterance number."""

    def pending(self, next_number: Callable[[], int]) -> list[PendingUtterance]:
        """Return the utterances without accepted text, in the order in which they were spoken. Raises OSError.

        Speech without an endpoint is cut here. It keeps the number under which a speculative recognition of it started,
        so that attempts that crashed the process are counted. Otherwise it gets the next number.
        """
        last = max(self._segments)
        begun_early = self._segments[last].begun_early
        for cut in self._segments[last].unnumbered():
            number, begun_early = (begun_early or next_number()), None
            numbered = NumberedCut(
                number, cut.start_sample, cut.end_sample, cut.reason, cut.speech_samples, UNDECIDED_S, cut.overlap
            )
            append(last, spool_format.cut(numbered))
            self._segments[last].cuts.append(numbered)
        pending = []
        for path, segment in self._segments.items():
            for numbered in segment.cuts:
                self._path_of[numbered.utterance] = path
                if numbered.utterance not in segment.settled:
                    decided_s = numbered.decided_s if numbered.decided_s >= 0 else None
                    utterance = segment.utterance(numbered, numbered.utterance)
                    pending.append(PendingUtterance(utterance, segment.attempts[numbered.utterance], decided_s))
        return sorted(pending, key=lambda one: one.utterance.own_start_sample)

    def pending_mark(self, pending: Collection[PendingUtterance]) -> str | None:
        """Return the final mark that the last accepted text lacks; None if none was accepted before `pending`."""
        marks = {number: mark for segment in self._segments.values() for number, mark in segment.pending_marks.items()}
        unaccepted = {one.utterance.id for one in pending}
        return next((mark for number, mark in reversed(marks.items()) if number not in unaccepted), None)

    def attempt(self, utterance: Utterance) -> None:
        """Record that the utterance's recognition is about to start. Raises OSError."""
        append(self._path_of[utterance.id], spool_format.attempt(utterance.id))

    def pending_mark_of(self, utterance: Utterance, mark: str) -> None:
        """Record the final mark that the utterance's text, about to be published, lacks."""
        last = max(self._segments)
        with suppress(OSError):  # at worst a later process begins a new sentence without this mark
            append(last, spool_format.pending_mark(utterance.id, mark))

    def settled(self, utterance: Utterance) -> None:
        """Record that the utterance's text was accepted, or that it has none."""
        with suppress(OSError):  # at worst the text is published twice, and clients drop the duplicate by its numbers
            append(self._path_of[utterance.id], spool_format.settled(utterance.id))

    def quarantine(self, utterance: Utterance) -> None:
        """Store this utterance's audio alone for RetryLast, in a file that no later process replays. Raises OSError."""
        segment = self._segments[self._path_of[utterance.id]]
        end_sample = utterance.start_sample + len(utterance.samples)
        frames = [f for f in segment.frames if f.end_sample > utterance.start_sample and f.start_sample < end_sample]
        cut = spool_format.numbered(utterance, UNDECIDED_S)
        content = spool_format.head(self.session, EndpointState(utterance.start_sample), frames) + spool_format.cut(cut)
        os.close(create(self._quarantine, content)[0])
        self._quarantined = True

    def discard(self) -> None:
        """Delete the segment files, because the session is finished."""
        for path in self._segments:
            path.unlink(missing_ok=True)

    def discard_all(self) -> None:
        """Delete all files of the session, including an utterance that was given up."""
        self.discard()
        if self._quarantined:
            self._quarantine.unlink(missing_ok=True)
