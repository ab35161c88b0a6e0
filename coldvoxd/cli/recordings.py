"""The recordings on a command line: files, standard input and other pipes."""

import errno
import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coldvoxd.audio.streams import Content
from coldvoxd.audio.unread_formats import CONVERT_COMMAND, index_follows
from coldvoxd.cli.pipes import Pipe, PipedFile
from coldvoxd.core.errors import FileFault
from coldvoxd.core.sentences import clause
from coldvoxd.core.visible_text import visible
from coldvoxd.media import library

STANDARD_INPUT = "-"
HEAD_BYTES = 64 << 20
"""Of a longer pipe only this much is kept in memory if the rest can be decoded as it comes: 35 minutes of 16 kHz WAV."""
MOST_PIPED_BYTES = 2 << 30
"""Maximum size of a pipe that must be kept in memory as a whole, because audio must not be written to disk."""
_SUBJECT = "the file"


def shown(name: str) -> str:
    """The name of a recording in messages."""
    return "standard input" if name == STANDARD_INPUT else name


def complaint(file: str, text: str) -> str:
    """An error message of the daemon, which does not know the name of a recording, for the person who gave the name.

    The name replaces "The file", and a command to convert the recording is complete.
    """
    subject, rest = text[: len(_SUBJECT)], text[len(_SUBJECT) :]
    return with_command(file, f"{shown(file)}{rest}" if subject.lower() == _SUBJECT else f"{shown(file)}: {text}")


def with_command(file: str, text: str) -> str:
    """A message with the complete command to convert the recording, if it has one."""
    if CONVERT_COMMAND not in text:
        return text
    if not library.is_installed():
        text = f"{clause(text)}, or install PyAV, with which coldvoxctl reads it: `{library.install_command()}`."
    return text if file == STANDARD_INPUT else text.replace(CONVERT_COMMAND, _conversion(file))


def _conversion(file: str) -> str:
    """The command that converts a recording into a new file beside it."""
    stem, extension = os.path.splitext(file)  # noqa: PTH122 - a path would lose a leading ./
    target = f"{stem}-converted.flac" if extension.lower() == ".flac" else f"{stem}.flac"
    return f"ffmpeg -i {_quoted(file)} -ar 16000 -ac 1 {_quoted(target)}"


def _quoted(name: str) -> str:
    """A file name as a word of a shell's command line, and as no option."""
    name = f"./{name}" if name.startswith("-") else name
    if name.isprintable():
        return shlex.quote(name)
    return "$'" + visible(name.replace("\\", "\\\\").replace("'", "\\'")) + "'"


@dataclass(frozen=True, slots=True)
class Opened:
    """A recording that is open for reading."""

    descriptor: int
    """The file, or a memory file with the content of a pipe, or with its beginning."""
    stream: PipedFile | None = None
    """The content of a pipe that is too long for memory."""


@contextmanager
def opened_recording(name: str, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[Opened]:
    """Open a recording. `-` is standard input.

    Reads a pipe to its end, or to its first HEAD_BYTES if the rest can be decoded as it comes, unless `is_stopped`, which
    raises Stopped. Does not wait for a program to open a FIFO. Raises FileFault with what to do.
    """
    descriptor = _standard_input() if name == STANDARD_INPUT else _open(name)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            yield Opened(descriptor)
            return
        if not (stat.S_ISFIFO(mode) or (stat.S_ISSOCK(mode) and name == STANDARD_INPUT)):
            raise FileFault(_complaint(name, descriptor, mode))
        memory = os.memfd_create("recording", os.MFD_CLOEXEC)
        try:
            yield _received(Pipe(descriptor, shown(name), is_stopped), memory, shown(name))
        finally:
            os.close(memory)
    finally:
        os.close(descriptor)


def _received(pipe: Pipe, memory: int, name: str) -> Opened:
    """The content of a pipe. Raises FileFault."""
    if pipe.receive(memory, HEAD_BYTES):
        return Opened(memory)
    if library.is_installed() and not index_follows(Content(memory)):
        return Opened(memory, PipedFile(memory, pipe))
    if not pipe.receive(memory, MOST_PIPED_BYTES + 1):
        advice = "" if library.is_installed() else f"; with PyAV there is no limit for most formats: {library.INSTALL}"
        raise FileFault(
            f"more than {MOST_PIPED_BYTES >> 30} GiB came through {name}: save it as a file, and give the name of that "
            f"file{advice}"
        )
    return Opened(memory)


def _standard_input() -> int:
    if sys.stdin is None:  # closed by the caller, as by `<&-`: its number may belong to another file now
        raise FileFault(f"{shown(STANDARD_INPUT)} is closed: pipe a recording into it")
    return os.dup(0)


def _open(name: str) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileFault(f"there is no file {name}: check the name") from error
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise FileFault(
                f"{name} is a socket: give the name of a file, or pipe a recording into `coldvoxctl transcribe -`"
            ) from error
        raise FileFault(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise FileFault(f"there is no file {name!r}: a name cannot have a NUL character") from error


def _complaint(name: str, descriptor: int, mode: int) -> str:
    if stat.S_ISDIR(mode):
        return f"{shown(name)} is a directory: give the names of the audio files in it"
    if os.isatty(descriptor):
        return f"{shown(name)} is a terminal: pipe a recording into it, as in `ffmpeg -i talk.mp4 -f wav - | coldvoxctl transcribe -`"
    return f"{shown(name)} is a device: give the name of a file, or pipe a recording into `coldvoxctl transcribe -`"
