"""The spool: files in the runtime directory that keep what active sessions hear until their texts are accepted."""

import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldvoxd.core import endpointing, spool_format
from coldvoxd.core.endpointing import EndpointState, Lost, Scored
from coldvoxd.core.spool_format import NumberedCut, SpooledSession
from coldvoxd.core.values import Frame, Utterance
from coldvoxd.crash_recovery.interrupted_session import (
    QUARANTINE,
    SEGMENTS,
    InterruptedSession,
    append,
    create,
    quarantined,
    read_segment,
    write,
)
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.private import make_private

log = logging.getLogger(__name__)

SILENCE_BYTES = 512 * 1024
"""A file of this size (about 16 s) that holds nothing but silence is replaced by an empty one."""
LOCK = "lock"
OWN_NAMES = re.compile(rf"{QUARANTINE}|(\d+-\d+|{Path(QUARANTINE).stem})\.new")
"""Files beside segments that the spool may delete; it touches no others."""


def runtime_directory(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Directory for volatile files of this login, which is in memory; None where the environment names none."""
    if given := environment.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0])
    login = base_directories.runtime_directory(environment)
    return login / base_directories.APPLICATION if login else None


@dataclass(slots=True)
class _Open:
    """A session's files."""

    session: SpooledSession
    path: Path
    fd: int | None
    """Descriptor of `path`, for appending; None between a failed write and the next cut."""
    sequence: int = 0
    bytes: int = 0
    closed: dict[int, Path] = field(default_factory=dict)
    """Closed files, by the utterance that was cut from each."""


class Spool:
    """A Journal in files of mode 0600; one process at a time has it. Event loop only.

    Writes go to memory and are not synced: they outlive the process, as they must, and not the machine. Where one fails
    the session goes on unkept until its next utterance, and `tell` gets one message.
    """

    def __init__(self, directory: Path, bus: str, tell: Callable[[str], None]) -> None:
        """Make the directory, and lock it; it and its parent must be this user's alone. `bus` is the GUID of the bus of the sessions' callers. Raises OSError."""
        make_private(directory.parent)
        make_private(directory)
        self._directory = directory
        self._bus = bus
        self._tell = tell
        self._told_full = False
        self._sessions: dict[int, _Open] = {}
        self._lock = os.open(directory / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise

    # Implements Journal.

    def begin(self, session: SpooledSession, state: EndpointState) -> None:
        session = replace(session, bus=self._bus)
        self._sessions[session.id] = kept = _Open(session, self._path(session.id, 0), None)
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
            self._delete(self._begin_anew(kept, state, audio))

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        kept = self._sessions.get(session)
        if kept is not None and kept.fd is not None:
            with self._trying(session):
                self._delete(self._begin_anew(kept, state, audio))

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:
        kept = self._sessions.get(utterance.session_id)
        if kept is None:
            return
        with self._trying(utterance.session_id):
            if kept.fd is not None:
                span = (utterance.start_sample, utterance.start_sample + len(utterance.samples))
                numbered = NumberedCut(utterance.id, *span, utterance.end_reason, utterance.speech_samples, decided_s)
                write(kept.fd, spool_format.cut(numbered))
                kept.closed[utterance.id] = kept.path
            # Also after a failed write: there may be space again.
            self._begin_anew(kept, state, (frame for frame in audio if frame.end_sample > state.keep_from_sample))
        self._delete(self._directory / QUARANTINE)  # RetryLast now takes this utterance

    def attempt(self, session: int, utterance: int) -> None:
        self._note(session, utterance, spool_format.attempt(utterance))

    def survived(self, session: int, utterance: int) -> None:
        self._note(session, utterance, spool_format.survived(utterance))

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
                self._told_full = False
            for path in (kept.path, *kept.closed.values()):
                self._delete(path)

    # What an earlier process left.

    def leftovers(self) -> Iterator[InterruptedSession]:
        """Sessions that an earlier process did not finish, oldest first. Unreadable files are deleted and reported."""
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
        """The utterance kept for RetryLast because the daemon gave up recognizing it automatically."""
        return quarantined(self._directory / QUARANTINE, self._delete)

    def clear(self) -> None:
        """Delete all files, those of an earlier process included."""
        for session in tuple(self._sessions):
            self.end(session)
        for path in self._directory.iterdir():
            if path.name != LOCK and (SEGMENTS.fullmatch(path.name) or OWN_NAMES.fullmatch(path.name)):
                self._delete(path)

    def close(self) -> None:
        """Release the lock, so that another process can use the spool."""
        os.close(self._lock)

    # Inside.

    def _path(self, session: int, sequence: int) -> Path:
        return self._directory / f"{session}-{sequence:06}.spool"

    def _append(self, session: int, record: bytes) -> None:
        kept = self._sessions.get(session)
        if kept is not None and kept.fd is not None:
            with self._trying(session):
                kept.bytes += write(kept.fd, record)

    def _note(self, session: int, utterance: int, record: bytes) -> None:
        """Append a record about an utterance's recognition to the file that has its audio."""
        kept = self._sessions.get(session)
        path = kept.closed.get(utterance) if kept else None
        if path is None:
            self._append(session, record)
        else:
            with self._trying(session):
                append(path, record)

    def _begin_anew(self, kept: _Open, state: EndpointState, audio: Iterable[Frame]) -> Path:
        """Continue the session in a new file, and return the path of the old one."""
        path = self._path(kept.session.id, kept.sequence + 1)
        fd, size = create(path, spool_format.head(kept.session, state, audio))
        if kept.fd is not None:
            os.close(kept.fd)
        before, kept.path, kept.fd, kept.bytes, kept.sequence = kept.path, path, fd, size, kept.sequence + 1
        return before

    @contextmanager
    def _trying(self, session: int) -> Iterator[None]:
        """After a failed write, keep nothing of the session until its next cut; utterances already cut stay kept."""
        try:
            yield
        except OSError as error:
            kept = self._sessions.get(session)
            if kept is not None and kept.fd is not None:
                os.close(kept.fd)
                kept.fd = None
                if kept.path not in kept.closed.values():
                    self._delete(kept.path)
            if not self._told_full:
                self._told_full = True
                self._tell(
                    f"What is said can't be kept in {self._directory} ({error.strerror}): dictation goes on, but a crash "
                    "would lose what is not yet text. Make room there."
                )

    def _delete(self, path: Path, why: str = "") -> None:
        """Delete a file; report it where there is a reason `why`."""
        if why:
            self._tell(f"{path} was deleted: {why}. If somebody was dictating when the daemon ended, that is lost.")
        with suppress(OSError):
            path.unlink()


def open_spool(bus: str, tell: Callable[[str], None]) -> Spool | None:
    """The spool of this login; None, with the reason reported by `tell` or logged, where sessions cannot be kept."""
    runtime = runtime_directory()
    if runtime is None:
        if base_directories.RUNTIME in base_directories.ignored():
            tell(
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
        return Spool(runtime / "spool", bus, tell)
    except OSError as error:
        reason = "another coldvoxd uses it" if isinstance(error, BlockingIOError) else error.strerror
        tell(
            f"Audio cannot be kept in {error.filename or runtime} ({reason}): dictation works, but a crash loses audio "
            "that has not been recognized."
        )
        return None
