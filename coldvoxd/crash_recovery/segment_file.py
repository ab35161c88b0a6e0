"""Segment files of the spool: their names, and reading, creating and appending to them."""

import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from coldvoxd.core import spool_format
from coldvoxd.core.spool_format import Segment, SpoolDamaged, SpooledSession
from coldvoxd.core.values import Utterance
from coldvoxd.userdirs.private import create_private

log = logging.getLogger(__name__)

SEGMENTS = re.compile(r"(?P<session>\d{1,10})-(?P<sequence>\d{6})\.spool")
"""Names of segment files. A session's sequence numbers start at 0."""
QUARANTINE = "quarantined"
"""Name of the file with the last utterance that was given up, kept for RetryLast."""
READ_BYTES = 64 * 1024 * 1024
"""Maximum number of bytes that are read from a file: more than a segment can have."""


def segment_path(directory: Path, session: int, sequence: int) -> Path:
    """Return the path of a session's segment file; `sequence` counts its files from 0."""
    return directory / f"{session}-{sequence:06}.spool"


def read_segment(path: Path, delete: Callable[[Path, str], None]) -> Segment | None:
    """Return the content of a segment file. A record that a crash left incomplete is truncated from the file.

    A file without readable content is passed to `delete` with the reason, and None is returned.
    """
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


def read_quarantined(path: Path, delete: Callable[[Path, str], None]) -> tuple[SpooledSession, Utterance] | None:
    """Return the utterance that was given up last, with its session; None if there is no file with one."""
    segment = read_segment(path, delete) if path.exists() else None
    if segment is None or not segment.cuts:
        return None
    return segment.session, segment.utterance(segment.cuts[0], segment.cuts[0].utterance)


def create(path: Path, content: bytes) -> tuple[int, int]:
    """Create a file atomically with its content. Returns a descriptor for appending, and the size in bytes.

    Raises OSError, and then leaves no file behind.
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
    """Append a record to an existing file. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        write(fd, record)
    finally:
        os.close(fd)


def write(fd: int, content: bytes) -> int:
    """Write all of the content, and return its length in bytes. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(content)
