"""The spool: files in the runtime directory that hold the audio of active sessions until their texts are accepted."""

import fcntl
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldvoxd.core import endpointing, spool_format
from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpointing import EndpointState, Lost, Scored
from coldvoxd.core.spool_format import SpooledSession, numbered
from coldvoxd.core.values import Utterance
from coldvoxd.crash_recovery.interrupted_session import InterruptedSession
from coldvoxd.crash_recovery.segment_file import (
    QUARANTINE,
    SEGMENTS,
    append,
    create,
    read_quarantined,
    read_segment,
    segment_path,
    write,
)
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.private import make_private

log = logging.getLogger(__name__)

SILENCE_BYTES = 512 * 1024
"""Size in bytes at which a segment that holds only silence is replaced by a new one: about 16 s."""
LOCK = "lock"
"""Name of the file whose lock excludes other processes."""
OWN_NAMES = re.compile(rf"{QUARANTINE}|(\d+-\d+|{Path(QUARANTINE).stem})\.new")
"""Names of the other files that the spool may delete. It touches no file with another name."""


def runtime_directory(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the directory for this login's volatile files, which is in memory; None if the environment names none."""
    if given := environment.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    login = base_directories.runtime_directory(environment)
    return login / base_directories.APPLICATION if login else None


@dataclass(slots=True)
class _Open:
    """The segment files of an active session."""

    session: SpooledSession
    path: Path
    fd: int | None
    """Descriptor of `path`, for appending; None after a failed write, until the next cut."""
    sequence: int = 0
    bytes: int = 0
    closed: dict[int, Path] = field(default_factory=dict)
    """Earlier segments, by the number of the utterance that was cut from each."""
    pending_marks: dict[int, str] = field(default_factory=dict)
    """The final marks that published texts lack, by utterance: those of unsettled utterances, and the last settled one."""


class Spool:
    """A Journal in files of mode 0600, locked for one process at a time. Event loop only.

    Writes go to memory and are not synced: they survive the process, not the machine. After a failed write the session
    continues without a journal until its next utterance, and `report` receives one message.
    """

    def __init__(self, directory: Path, bus: str, report: Callable[[str], None]) -> None:
        """Create the directory and lock it. `bus` is the GUID of the bus of the sessions' callers.

        Raises OSError, also if the directory or its parent is accessible to other users.
        """
        make_private(directory.parent)
        make_private(directory)
        self._directory = directory
        self._bus = bus
        self._report = report
        self._reported_full = False
        self._sessions: dict[int, _Open] = {}
        self._lock = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise

    # The Journal of active sessions.

    def begin(self, session: SpooledSession, state: EndpointState) -> None:
        session = replace(session, bus=self._bus)
        self._sessions[session.id] = kept = _Open(session, segment_path(self._directory, session.id, 0), None)
        with self._trying(session.id):
            kept.fd, kept.bytes = create(kept.path, spool_format.head(session, state))

    def heard(self, session: int, event: endpointing.Event, frame: Frame | None) -> None:
        match event:
            case Scored() if frame is not None:
                self._append(session, spool_format.heard(event, frame))
            case Lost():
                self._append(session, spool_format.lost(event))

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        kept = self._sessions.get(session)
        if kept is None or kept.bytes < SILENCE_BYTES or state.phase is not endpointing.Phase.SILENCE:
            return
        with self._trying(session):
            self._delete(self._next_segment(kept, state, audio))

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        kept = self._sessions.get(session)
        if kept is not None and kept.fd is not None:
            with self._trying(session):
                self._delete(self._next_segment(kept, state, audio))

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:
        kept = self._sessions.get(utterance.session_id)
        if kept is None:
            return
        with self._trying(utterance.session_id):
            if kept.fd is not None:
                write(kept.fd, spool_format.cut(numbered(utterance, decided_s)))
                kept.closed[utterance.id] = kept.path
            # Also after a failed write: there may be room again.
            self._next_segment(kept, state, (frame for frame in audio if frame.end_sample > state.keep_from_sample))
        self._delete(self._directory / QUARANTINE)  # RetryLast uses the new utterance from now on

    def attempt(self, session: int, utterance: int) -> None:
        self._note(session, utterance, spool_format.attempt(utterance))

    def survived(self, session: int, utterance: int) -> None:
        self._note(session, utterance, spool_format.survived(utterance))

    def pending_mark(self, session: int, utterance: int, mark: str) -> None:
        kept = self._sessions.get(session)
        if kept is not None:
            kept.pending_marks = _needed(kept.pending_marks, kept.closed) | {utterance: mark}
            self._append(session, spool_format.pending_mark(utterance, mark))

    def settled(self, session: int, utterance: int) -> None:
        kept = self._sessions.get(session)
        path = kept.closed.pop(utterance, None) if kept else None
        if path is not None:
            self._delete(path)

    def end(self, session: int) -> None:
        kept = self._sessions.pop(session, None)
        if kept is not None:
            if kept.fd is not None:
                os.close(kept.fd)
                self._reported_full = False
            for path in (kept.path, *kept.closed.values()):
                self._delete(path)

    # Remains of earlier processes.

    def interrupted_sessions(self) -> Iterator[InterruptedSession]:
        """Yield the sessions that an earlier process did not finish, oldest first.

        Unreadable files are deleted and reported.
        """
        own = {path for kept in self._sessions.values() for path in (kept.path, *kept.closed.values())}
        found: dict[int, list[Path]] = {}
        for path in sorted(self._directory.iterdir()):
            name = SEGMENTS.fullmatch(path.name)
            if path in own or path.name in {LOCK, QUARANTINE}:
                continue
            if name is None and OWN_NAMES.fullmatch(path.name):
                self._delete(path)
            elif name is not None:
                found.setdefault(int(name["session"]), []).append(path)
        for session, paths in sorted(found.items()):
            segments = {path: segment for path in paths if (segment := read_segment(path, self._delete)) is not None}
            if segments:
                yield InterruptedSession(session, segments, self._directory / QUARANTINE)

    def given_up(self) -> tuple[SpooledSession, Utterance] | None:
        """Return the last utterance that was given up, with its session, for RetryLast; None if there is none."""
        return read_quarantined(self._directory / QUARANTINE, self._delete)

    def clear(self) -> None:
        """Delete all segments and quarantined audio, of this process and of earlier ones."""
        for session in tuple(self._sessions):
            self.end(session)
        for path in self._directory.iterdir():
            if path.name != LOCK and (SEGMENTS.fullmatch(path.name) or OWN_NAMES.fullmatch(path.name)):
                self._delete(path)

    def close(self) -> None:
        """Release the lock, so that another process can open the spool."""
        os.close(self._lock)

    # Internal.

    def _append(self, session: int, record: bytes) -> None:
        kept = self._sessions.get(session)
        if kept is not None and kept.fd is not None:
            with self._trying(session):
                kept.bytes += write(kept.fd, record)

    def _note(self, session: int, utterance: int, record: bytes) -> None:
        """Append a record about an utterance's recognition to the segment with its audio."""
        kept = self._sessions.get(session)
        path = kept.closed.get(utterance) if kept else None
        if path is None:
            self._append(session, record)
        else:
            with self._trying(session):
                append(path, record)

    def _next_segment(self, kept: _Open, state: EndpointState, audio: Iterable[Frame]) -> Path:
        """Close the session's segment and continue in a new one. Returns the path of the closed one."""
        path = segment_path(self._directory, kept.session.id, kept.sequence + 1)
        fd, size = create(path, spool_format.head(kept.session, state, audio, kept.pending_marks))
        if kept.fd is not None:
            os.close(kept.fd)
        before, kept.path, kept.fd, kept.bytes, kept.sequence = kept.path, path, fd, size, kept.sequence + 1
        return before

    @contextmanager
    def _trying(self, session: int) -> Iterator[None]:
        """Handle a failed write: drop the session's open segment until its next cut, and report once.

        Closed segments stay.
        """
        try:
            yield
        except OSError as error:
            kept = self._sessions.get(session)
            if kept is not None and kept.fd is not None:
                os.close(kept.fd)
                kept.fd = None
                if kept.path not in kept.closed.values():
                    self._delete(kept.path)
            if not self._reported_full:
                self._reported_full = True
                self._report(
                    f"Audio cannot be kept in {self._directory} ({error.strerror}): dictation works, but a crash loses "
                    "audio that has not been recognized. Free some space there."
                )

    def _delete(self, path: Path, why: str = "") -> None:
        """Delete a file, and report the reason. An empty reason means that the deletion is expected."""
        if why:
            self._report(
                f"{path} was deleted: {why}. If a session was active when the daemon exited, its pending audio is lost."
            )
        with suppress(OSError):
            path.unlink()


def _needed(pending_marks: Mapping[int, str], unsettled: Iterable[int]) -> dict[int, str]:
    """Return the marks without those that precede the last one before the first unsettled utterance."""
    first = min(unsettled, default=math.inf)
    before = max((number for number in pending_marks if number < first), default=0)
    return {number: mark for number, mark in pending_marks.items() if number >= before}


def open_spool(bus: str, report: Callable[[str], None]) -> Spool | None:
    """Open the spool of this login. If sessions cannot be kept, report or log the reason and return None."""
    runtime = runtime_directory()
    if runtime is None:
        if base_directories.RUNTIME in base_directories.ignored():
            report(
                f"{base_directories.RUNTIME} is not an absolute path and is ignored: dictation works, but a crash loses "
                "audio that has not been recognized."
            )
        else:
            log.info(
                "there is no runtime directory ($RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR): a crash loses audio that has not been "
                "recognized"
            )
        return None
    try:
        return Spool(runtime / "spool", bus, report)
    except OSError as error:
        reason = "another coldvoxd uses it" if isinstance(error, BlockingIOError) else error.strerror
        report(
            f"Audio cannot be kept in {error.filename or runtime} ({reason}): dictation works, but a crash loses audio "
            "that has not been recognized."
        )
        return None
