"""The output of coldvoxctl: text, or one JSON object per line."""

import json
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from coldvoxd.cli.exit_codes import error_name
from coldvoxd.core.errors import ColdvoxError


class Output:
    """Prints results to stdout and errors to stderr, unbuffered."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, fields: Mapping[str, Any], text: str | None = None) -> None:
        """Print the fields as one line of JSON, or the text; nothing if it is None."""
        if self.as_json:
            _print(_json(fields), sys.stdout)
        elif text is not None:
            _print(text, sys.stdout)

    def error(self, error: ColdvoxError) -> None:
        """Print one sentence, or one JSON object, to stderr."""
        if self.as_json:
            fields = {"error": error_name(error), "message": str(error)}
            _print(_json(fields), sys.stderr)
        else:
            _print(f"coldvoxctl: {error}", sys.stderr)

    def warning(self, text: str) -> None:
        """Print a warning about a result to stderr; nothing with --json, whose results include it."""
        if not self.as_json:
            _print(f"coldvoxctl: {text}", sys.stderr)

    def note(self, text: str) -> None:
        """Print a remark to stderr for an interactive user; nothing with --json or without a terminal."""
        if not self.as_json and sys.stderr.isatty():
            _print(text, sys.stderr)


def _json(fields: Mapping[str, Any]) -> str:
    """One line; undecodable bytes of file names are escaped as Python's lone surrogates."""
    text = json.dumps(fields, ensure_ascii=False)
    return text if _is_text(text) else json.dumps(fields)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _print(text: str, stream: TextIO | None) -> None:
    """Print unbuffered. Undecodable bytes of file names are printed unchanged; other characters may be escaped."""
    if stream is None:  # closed by the caller, as by `>&-`
        return
    encoding = stream.encoding or "utf-8"
    try:
        line = f"{text}\n".encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        line = f"{text}\n".encode(encoding, "backslashreplace")
    stream.flush()
    stream.buffer.write(line)
    stream.buffer.flush()
