"""What is reported of each text, on standard error or as JSON; never its words."""

import json
import sys
from collections.abc import Mapping

from coldvoxd.typist.delivery import Outcome


class Reporter:
    """Writes a line at a time, at once."""

    def __init__(self, *, as_json: bool = False) -> None:
        """`as_json`: outcomes are objects, one a line, on standard output."""
        self._as_json = as_json

    def line(self, words: str) -> None:
        """Anything but an outcome."""
        print(words, file=sys.stderr, flush=True)

    def outcome(self, text: Mapping[str, int | str], outcome: Outcome) -> None:
        """What became of a text; `text` says which, by its session and utterance."""
        fields = {**text, "method": outcome.method, "application": outcome.application}
        known = {key: value for key, value in fields.items() if value}
        if self._as_json:
            print(json.dumps({"outcome": outcome.result, **known, "reason": outcome.reason}), flush=True)
            return
        named = " ".join(f"{key}={value}" for key, value in known.items())
        self.line(f"{outcome.result} {named}{f': {outcome.reason}' if outcome.reason else ''}")
