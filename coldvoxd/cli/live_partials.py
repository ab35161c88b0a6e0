"""Words while they are spoken, for the command listen."""

import sys
from collections.abc import Sequence

from coldvoxd.bus.client_events import Event
from coldvoxd.cli.output import Output, as_printed, can_rewrite, ellipsis_for, terminal_width
from coldvoxd.core.visible_text import ELLIPSIS, shortened, visible

_DIM, _NORMAL = "\033[2m", "\033[22m"


class LivePartials:
    """Prints partial transcripts: on a terminal as one line that is rewritten, otherwise as one line each.

    On a terminal, words that may still change are dim, and the end of a long line is shown. Raises OutputFault.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._is_live = not output.as_json and can_rewrite(sys.stdout)
        self._words: dict[int, tuple[str, str]] = {}
        """Stable and other words by utterance, without those that have a text."""
        self._shown = ""

    def show(self, partial: Event) -> None:
        """Print the words of a partial transcript."""
        fields = partial.fields
        stable, unstable = str(fields["stable"]), str(fields["unstable"])
        if not self._is_live:
            self._output.result({"event": partial.name, **fields}, " ".join(filter(None, ("~", stable, "|", unstable))))
            return
        self._words.pop(fields["utterance"], None)
        if stable or unstable:
            self._words[fields["utterance"]] = (stable, unstable)
        self.redraw()

    def settle(self, event: Event) -> None:
        """Clear the line before an event is printed that replaces words of it."""
        if event.name == "transcribed":
            self._words.pop(event.fields["utterance"], None)
            self._draw("")
        elif event.name in {"stopped", "daemon-disconnected"}:
            self.clear()

    def redraw(self) -> None:
        """Print the words again that have no text yet."""
        pieces = []
        for number in sorted(self._words):
            for words, is_dim in zip(self._words[number], (False, True), strict=True):
                if words:
                    pieces.append((as_printed(visible(words), sys.stdout), is_dim))
        self._draw(tail_of(pieces, terminal_width(sys.stdout), ellipsis_for(sys.stdout)))

    def clear(self) -> None:
        """Clear the line, and forget its words."""
        self._words.clear()
        self._draw("")

    def _draw(self, line: str) -> None:
        if line != self._shown:
            self._shown = line
            self._output.rewrite(line)


def tail_of(pieces: Sequence[tuple[str, bool]], width: int, ellipsis: str = ELLIPSIS) -> str:
    """Return the end of visible texts that fits into `width` columns, joined by spaces; those with True are dim."""
    text = " ".join(piece for piece, _ in pieces)
    tail = shortened(text, width, ellipsis)
    mark = ellipsis if tail != text and tail else ""
    skipped = len(text) - len(tail) + len(mark)
    parts, begin = [mark] if mark else [], 0
    for piece, is_dim in pieces:
        part = piece[max(0, skipped - begin) :]
        if begin > skipped:
            parts.append(" ")
        if part:
            parts.append(f"{_DIM}{part}{_NORMAL}" if is_dim else part)
        begin += len(piece) + 1
    return "".join(parts)
