"""The recordings on a command line: files, standard input and other pipes."""

import errno
import os
import select
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coldvoxd.audio.unread_formats import CONVERT_COMMAND
from coldvoxd.core.errors import FileFault, Stopped
from coldvoxd.core.visible_text import visible

STANDARD_INPUT = "-"
MOST_PIPED_BYTES = 2 << 30
"""Maximum size of piped audio, which is kept in memory because audio must not be written to disk: 18 hours of 16 kHz
mono WAV."""
_SUBJECT = "the file"
_READ_BYTES = 1 << 20
_LOOK_S = 0.2
"""Seconds between two checks for cancellation while no data arrives."""


def shown(name: str) -> str:
    """The name of a recording in messages."""
    return "standard input" if name == STANDARD_INPUT else name


def complaint(file: str, text: str) -> str:
    """An error message of the daemon, which does not know the name of a recording, for the person who gave the name.

    The name replaces "The file", and a command to convert the recording is complete.
    """
    subject, rest = text[: len(_SUBJECT)], text[len(_SUBJECT) :]
    named = f"{shown(file)}{rest}" if subject.lower() == _SUBJECT else f"{shown(file)}: {text}"
    return named if file == STANDARD_INPUT else named.replace(CONVERT_COMMAND, _conversion(file))


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


@contextmanager
def opened_recording(name: str, is_stopped: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """Open a recording: a descriptor of the file, or of a memory file with the content of a pipe.

    `-` is standard input. Reads a pipe to its end, unless `is_stopped`, which raises Stopped. Does not wait for a
    program to open a FIFO. Raises FileFault with what to do.
    """
    descriptor = _standard_input() if name == STANDARD_INPUT else _open(name)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            yield descriptor
            return
        if not (stat.S_ISFIFO(mode) or (stat.S_ISSOCK(mode) and name == STANDARD_INPUT)):
            raise FileFault(_complaint(name, descriptor, mode))
        memory = os.memfd_create("recording", os.MFD_CLOEXEC)
        try:
            _receive(descriptor, memory, shown(name), is_stopped)
            yield memory
        finally:
            os.close(memory)
    finally:
        os.close(descriptor)


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
        raise FileFault(f"{name} can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise FileFault(f"there is no file {name!r}: a name cannot have a NUL character") from error


def _complaint(name: str, descriptor: int, mode: int) -> str:
    if stat.S_ISDIR(mode):
        return f"{shown(name)} is a directory: give the names of the audio files in it"
    if os.isatty(descriptor):
        return f"{shown(name)} is a terminal: pipe a recording into it, as in `ffmpeg -i talk.mp4 -f wav - | coldvoxctl transcribe -`"
    return f"{shown(name)} is a device: give the name of a file, or pipe a recording into `coldvoxctl transcribe -`"


def _receive(
    descriptor: int, memory: int, name: str, is_stopped: Callable[[], bool], most_bytes: int = MOST_PIPED_BYTES
) -> None:
    """Copy the pipe's data into memory until its end."""
    received = 0
    try:
        while piece := _next_piece(descriptor, is_stopped, wait=received > 0 or os.get_blocking(descriptor)):
            received += len(piece)
            if received > most_bytes:
                raise FileFault(
                    f"more than {most_bytes / (1 << 30):g} GiB came through {name}: save it as a file, and give the name of that file"
                )
            while piece:
                piece = piece[os.write(memory, piece) :]
    except OSError as error:
        raise FileFault(f"{name} can't be read: {error.strerror or error}") from error
    if received == 0:
        raise FileFault(f"{name} delivered nothing: no program writes to it, or the program exited without output")


def _next_piece(descriptor: int, is_stopped: Callable[[], bool], *, wait: bool) -> bytes:
    """The next data; empty at the end and, without `wait`, if no program has the pipe open for writing."""
    if not wait:
        try:
            return os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            pass  # a program has it open, but has not written anything yet
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while not poll.poll(_LOOK_S * 1000):
        if is_stopped():
            raise Stopped("interrupted")
    return os.read(descriptor, _READ_BYTES)
