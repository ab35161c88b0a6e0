"""Small text files that people write: settings and lists of models. Reading one never waits for another program."""

import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 20


def read_text(path: Path) -> str:
    """The content of a UTF-8 file of at most MOST_BYTES, without the byte order mark that some editors write.

    Raises OSError, also for what is neither a regular file nor a device that delivers its content at once, such as
    /dev/null, and UnicodeDecodeError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode)):
            raise OSError("it is not a regular file")
        content = b""
        while len(content) <= MOST_BYTES and (piece := os.read(descriptor, 1 << 16)):
            content += piece
    finally:
        os.close(descriptor)
    if len(content) > MOST_BYTES:
        raise OSError(f"it is larger than {MOST_BYTES >> 20} MiB")
    return content.decode("utf-8-sig")


def why_unread(error: OSError | UnicodeDecodeError) -> str:
    """Why `read_text` failed, as a clause without the file's name."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return f"line {line} is not UTF-8 text; save the file in that encoding"
    return error.strerror or str(error)
