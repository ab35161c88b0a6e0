"""How coldvoxctl prints: for people, or one JSON object a line."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from coldvoxd.cli.exits import error_name
from coldvoxd.core.errors import ColdvoxError


class Output:
    """Prints results on stdout and errors on stderr, at once."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, fields: Mapping[str, Any], text: str | None = None) -> None:
        """The fields as one line of JSON, or the text, nothing where None."""
        if self.as_json:
            print(json.dumps(fields, ensure_ascii=False), flush=True)
        elif text is not None:
            print(text, flush=True)

    def error(self, error: ColdvoxError) -> None:
        """One sentence on stderr, or one JSON object there."""
        if self.as_json:
            fields = {"error": error_name(error), "message": str(error)}
            print(json.dumps(fields, ensure_ascii=False), file=sys.stderr, flush=True)
        else:
            print(f"coldvoxctl: {error}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A remark on stderr for a person who watches; nothing with --json or without a terminal."""
        if not self.as_json and sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)
