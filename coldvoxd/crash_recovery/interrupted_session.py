"""A leftover: what the spool still holds of a session whose process died."""

import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core import spool_format
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.spool_format import NumberedCut, Segment, SpoolDamaged, SpooledSession
from coldvoxd.core.values import Utterance
from coldvoxd.userdirs.private import create_private

log = logging.getLogger(__name__)

SEGMENTS = re.compile(r"(?P<session>\d{1,10})-(?P<sequence>\d{6})\.spool")
UNDECIDED_S = -1.0
"""For an endpoint that was decided by a crash."""
QUARANTINE = "quarantined"
"""The file of the last utterance that was given up, kept for RetryLast."""
READ_BYTES = 64 * 1024 * 1024
"""More than a file of ours can have; more of a foreign one is not looked at."""


@dataclass(frozen=True, slots=True)
class PendingUtterance:
    """An utterance whose text nobody may have got."""

    utterance: Utterance
    attempts: int
    """Recognitions that were begun and that nothing is known of."""
    decided_s: float | None
    """Monotonic time of the endpoint; None where the crash came before it."""


class InterruptedSession:
    """One session's files, changed as it is finished, so that another crash finds what is still owed."""

    def __init__(self, number: int, segments: Mapping[Path, Segment], quarantine: Path) -> None:
        """`segments` in the order in which they were written, at least one."""
        self.number = number
        self.session: SpooledSession = next(iter(segments.values())).session
        self._segments = dict(segments)
        self._quarantine = quarantine
        self._quarantined = False
        self._home: dict[int, Path] = {}
        """The file of each utterance."""

    def owed(self, next_number: Callable[[], int]) -> list[PendingUtterance]:
        """What is to be recognized, in order. Speech without an endpoint is cut now and gets a number. Raises OSError.

        The number is the one under which its recognition was begun early, where it was: so attempts of which the process
        died count.
        """
        last = max(self._segments)
        begun_early = self._segments[last].begun_early
        for cut in self._segments[last].unnumbered():
            number, begun_early = (begun_early or next_number()), None
            numbered = NumberedCut(
                number, cut.start_sample, cut.end_sample, cut.reason, cut.speech_samples, UNDECIDED_S
            )
            append(last, spool_format.cut(numbered))
            self._segments[last].cuts.append(numbered)
        owed = []
        for path, segment in self._segments.items():
            for numbered in segment.cuts:
                self._home[numbered.utterance] = path
                if numbered.utterance not in segment.settled:
                    decided_s = numbered.decided_s if numbered.decided_s >= 0 else None
                    utterance = segment.utterance(numbered, numbered.utterance)
                    owed.append(PendingUtterance(utterance, segment.attempts[numbered.utterance], decided_s))
        return sorted(owed, key=lambda one: one.utterance.id)

    def attempt(self, utterance: Utterance) -> None:
        """To be called before its recognition begins. Raises OSError."""
        append(self._home[utterance.id], spool_format.attempt(utterance.id))

    def settled(self, utterance: Utterance) -> None:
        """Nothing more is owed of it."""
        with suppress(OSError):  # then it comes twice at worst, and clients drop the double
            append(self._home[utterance.id], spool_format.settled(utterance.id))

    def quarantine(self, utterance: Utterance) -> None:
        """Keep it, and it alone, where it is not recognized by itself any more. Raises OSError."""
        segment = self._segments[self._home[utterance.id]]
        end_sample = utterance.start_sample + len(utterance.samples)
        frames = [f for f in segment.frames if f.end_sample > utterance.start_sample and f.start_sample < end_sample]
        span = (utterance.start_sample, end_sample)
        cut = NumberedCut(utterance.id, *span, utterance.end_reason, utterance.speech_samples, UNDECIDED_S)
        content = spool_format.head(self.session, EndpointState(utterance.start_sample), frames) + spool_format.cut(cut)
        os.close(create(self._quarantine, content)[0])
        self._quarantined = True

    def discard(self) -> None:
        """Nothing more is owed of the session."""
        for path in self._segments:
            path.unlink(missing_ok=True)

    def discard_all(self) -> None:
        """Nothing of the session may be had by anybody any more, what was given up included."""
        self.discard()
        if self._quarantined:
            self._quarantine.unlink(missing_ok=True)


def quarantined(path: Path, delete: Callable[[Path, str], None]) -> tuple[SpooledSession, Utterance] | None:
    """The utterance that was given up last, where one is kept."""
    segment = read_segment(path, delete) if path.exists() else None
    if segment is None or not segment.cuts:
        return None
    return segment.session, segment.utterance(segment.cuts[0], segment.cuts[0].utterance)


def read_segment(path: Path, delete: Callable[[Path, str], None]) -> Segment | None:
    """What a file holds, its broken end cut off; deleted, with the reason, where it holds nothing."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        delete(path, f"it cannot be opened ({error.strerror})")
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            content = file.read(READ_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            segment = spool_format.read(content)
            if segment.whole_bytes < len(content):
                log.warning("%s ends in an incomplete write: the last %d bytes are ignored",
                            path.name, len(content) - segment.whole_bytes)  # fmt: skip
                os.ftruncate(fd, segment.whole_bytes)
        except (OSError, SpoolDamaged) as error:
            delete(path, str(error))
            return None
    return segment


def create(path: Path, content: bytes) -> tuple[int, int]:
    """A new file that has this content from the moment it is there; its descriptor, for appending, and its size.

    Raises OSError, and then there is none.
    """
    new = path.with_suffix(".new")
    fd = create_private(new, os.O_APPEND)
    try:
        size = write(fd, content)
        new.rename(path)
    except OSError:
        os.close(fd)
        new.unlink(missing_ok=True)
        raise
    return fd, size


def append(path: Path, record: bytes) -> None:
    """Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        write(fd, record)
    finally:
        os.close(fd)


def write(fd: int, content: bytes) -> int:
    """Write all of it; how much that was. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(content)
