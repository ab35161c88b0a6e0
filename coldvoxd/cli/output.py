"""The output of coldvoxctl: text, or one JSON object per line."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from coldvoxd.cli.exit_codes import OutputClosed, OutputFault, error_name
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.visible_text import ELLIPSIS, is_unicode, is_visible, shortened, visible

DEFAULT_COLUMNS = 80
"""Width of a terminal that does not report it."""
_ECHO_COLUMNS = 2
"""Columns of the `^C` that a terminal echoes."""


class Output:
    """Prints results to stdout and errors to stderr, unbuffered.

    On a terminal, control characters are escaped. Raises OutputFault if standard output cannot be written.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def require_stdout(self) -> None:
        """Raise OutputFault if standard output was closed before the start: the results would be lost."""
        if sys.stdout is None:
            raise OutputFault("Standard output is closed, so the text could not be printed.")

    @contextmanager
    def watched(self, on_closed: Callable[[], None]) -> Iterator[None]:
        """Call `on_closed` in this context once the program that reads standard output, a pipe, has closed it.

        Otherwise this would only be noticed at the next output. Event loop only. Raises OutputClosed at the end then.
        """
        if sys.stdout is None or not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
            yield
            return
        loop, closed, pipe = asyncio.get_running_loop(), False, sys.stdout.fileno()

        def close() -> None:
            nonlocal closed
            closed = True
            loop.remove_reader(pipe)
            on_closed()

        loop.add_reader(pipe, close)  # nothing can be read from this end: the only event is an error
        try:
            yield
        finally:
            loop.remove_reader(pipe)
        if closed:
            raise OutputClosed("The program that read standard output has ended.")

    def result(self, fields: Mapping[str, Any], text: str | None = None) -> None:
        """Print the fields as one line of JSON, or the text; nothing if it is None."""
        if self.as_json:
            _print_result(_json(fields, sys.stdout))
        elif text is not None:
            _print_result(_shown(text, sys.stdout, keep="\n\t"))

    def name(self, name: str) -> str:
        """The name of a file or device for a text of `result`: on a terminal it takes one line."""
        return _shown(name, sys.stdout)

    def rewrite(self, line: str) -> None:
        """Replace the current line of stdout, a terminal, without ending it. Raises OutputFault."""
        _print_result(f"\r\033[K{line}", end="")

    def error(self, error: ColdvoxError) -> None:
        """Print one sentence, or one JSON object, to stderr."""
        if self.as_json:
            fields = {"error": error_name(error), "message": str(error)}
            print_remark(_json(fields, sys.stderr))
        else:
            self.warning(str(error))

    def warning(self, text: str) -> None:
        """Print a warning about a result to stderr; nothing with --json, whose results include it."""
        if not self.as_json:
            print_remark(f"coldvoxctl: {_shown(text, sys.stderr)}")

    def remark(self, fields: Mapping[str, Any], text: str) -> None:
        """Print a remark that is no result to stderr: the text, or the fields with --json."""
        print_remark(_json(fields, sys.stderr) if self.as_json else f"coldvoxctl: {_shown(text, sys.stderr)}")

    def note(self, text: str) -> None:
        """Print a remark to stderr for an interactive user; nothing with --json or without a terminal."""
        if not self.as_json and is_terminal(sys.stderr):
            print_remark(visible(text, keep="\n\t"))


class StatusLine:
    """One line of stderr that is overwritten; only if stderr is a terminal that can."""

    def __init__(self) -> None:
        self.wanted = can_rewrite(sys.stderr)
        self._shown = ""

    def show(self, name: str, rest: str = "") -> None:
        """Show a name, shortened to the terminal's width, and the rest."""
        width, printed, rest = (
            terminal_width(sys.stderr),
            as_printed(visible(name), sys.stderr),
            as_printed(rest, sys.stderr),
        )
        text = shortened(printed, max(width - len(rest), 0), ellipsis_for(sys.stderr)) + rest[:width]
        if self.wanted and text != self._shown:
            self._shown = text
            print_remark(f"\r\033[K{text}", end="")

    def clear(self) -> None:
        """Clear the line."""
        if self._shown:
            self._shown = ""
            print_remark("\r\033[K", end="")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is open and a terminal."""
    return stream is not None and stream.isatty()


def can_rewrite(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that understands the escape codes of `Output.rewrite`."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def as_printed(text: str, stream: TextIO) -> str:
    """Return a text with escapes for what the stream's encoding lacks."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def ellipsis_for(stream: TextIO) -> str:
    """Return an ellipsis that the stream's encoding has."""
    return ELLIPSIS if as_printed(ELLIPSIS, stream) == ELLIPSIS else "..."


def terminal_width(stream: TextIO) -> int:
    """Return the number of columns that a line on a terminal can take without wrapping, also if Ctrl-C is echoed behind it."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        columns = 0
    return max((columns or DEFAULT_COLUMNS) - 1 - _ECHO_COLUMNS, 0)


def _shown(text: str, stream: TextIO | None, keep: str = "") -> str:
    return visible(text, keep) if is_terminal(stream) else text


def json_line(fields: Mapping[str, Any]) -> str:
    """The fields as one line of JSON, for a file."""
    return _json(fields, None)


def _json(fields: Mapping[str, Any], stream: TextIO | None) -> str:
    """One line; undecodable bytes of file names are escaped as Python's lone surrogates."""
    text = json.dumps(fields, ensure_ascii=False)
    is_safe = is_unicode(text) and (not is_terminal(stream) or all(map(is_visible, text)))
    return text if is_safe else json.dumps(fields).replace("\x7f", "\\u007f")


def _print_result(text: str, end: str = "\n") -> None:
    """Print a line on stdout. Raises OutputFault."""
    try:
        _print(f"{text}{end}", sys.stdout)
    except OSError as error:
        # Python would write the rest again when the process exits, and report a second error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        kind = OutputClosed if isinstance(error, BrokenPipeError) else OutputFault
        raise kind(f"Standard output cannot be written: {error.strerror or error}.") from error


def print_remark(text: str, end: str = "\n") -> None:
    """Print on stderr, whose errors cannot be reported anywhere."""
    try:
        _print(f"{text}{end}", sys.stderr)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _print(text: str, stream: TextIO | None) -> None:
    """Print unbuffered. Undecodable bytes of file names are printed unchanged; other characters may be escaped."""
    if stream is None:  # closed by the caller, as by `>&-`
        return
    encoding = stream.encoding or "utf-8"
    try:
        line = text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        line = text.encode(encoding, "backslashreplace")
    stream.flush()
    stream.buffer.write(line)
    stream.buffer.flush()
