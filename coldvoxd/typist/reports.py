"""Reports about each text, on standard error or as JSON, never with its words."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping

from coldvoxd.core.visible_text import visible
from coldvoxd.typist.delivery import Outcome


class Reporter:
    """Writes lines, each flushed at once."""

    def __init__(self, *, as_json: bool = False) -> None:
        """With `as_json`, outcomes are JSON objects, one per line, on standard output."""
        self._as_json = as_json
        self.when_lost: Callable[[], None] = lambda: None
        """Called once standard output cannot be written any longer."""
        self.lost: OSError | None = None
        """Why standard output cannot be written."""

    def line(self, words: str) -> None:
        """Report anything but an outcome."""
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        with contextlib.suppress(OSError):  # a full device: there is nowhere to report it
            print(visible(words) if is_terminal else words, file=sys.stderr, flush=True)

    def _object(self, fields: Mapping[str, object]) -> None:
        if self.lost is not None:
            return
        try:
            print(json.dumps(fields), flush=True)
        except OSError as error:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # Python would write the rest again at its exit
            self.lost = error
            if not isinstance(error, BrokenPipeError):
                self.line(f"Standard output cannot be written: {error.strerror}.")
            self.when_lost()

    def outcome(self, text: Mapping[str, int | str], outcome: Outcome) -> None:
        """Report the outcome of a text; `text` identifies it by its session and utterance."""
        fields = {**text, "method": outcome.method, "application": outcome.application}
        known = {key: value for key, value in fields.items() if value}
        if self._as_json:
            self._object({"outcome": outcome.result, **known, "reason": outcome.reason})
            return
        named = " ".join(f"{key}={value}" for key, value in known.items())
        self.line(f"{outcome.result} {named}{f': {outcome.reason}' if outcome.reason else ''}")
