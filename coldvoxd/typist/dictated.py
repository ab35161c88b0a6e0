"""A dictated text: a sentence of its own, and the same words as they continue their session. Pure.

The daemon's contract (`Transcribed` in the bus reference): the text of a session is body 1 + seam 2 + body 2 + ... +
pending n. A body lacks its final mark until the sentence is over.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from coldvoxd.core.seams import MARKS

_KEPT = {"\n", "\t", "\u200c", "\u200d"}
"""Not printable, but part of texts: the zero-width characters join or separate letters and pictures."""
_LINE_ENDS = str.maketrans(dict.fromkeys("\r\v\f\u0085\u2028\u2029", "\n"))


@dataclass(frozen=True, slots=True)
class Dictated:
    """The text of one utterance."""

    text: str
    """The text as a sentence of its own."""
    body: str
    """The same words as they continue the session, without `pending`."""
    pending: str = ""
    """The final mark, which is due when the sentence is over."""
    seam: str = " "
    """What stands between the body before it and this one."""
    session: int = 0
    """0 if the text belongs to no session."""
    utterance: int = 0
    follows: int = 0
    """Number of the session's utterance that `seam` refers to; 0 if that text was not received."""

    @classmethod
    def whole(cls, text: str) -> "Dictated":
        """Return a text that continues nothing."""
        return cls(text, text)

    @classmethod
    def received(cls, fields: Mapping[str, Any], follows: int) -> "Dictated":
        """Return the text of a `transcribed` event.

        A text whose body has other words, or without one, as an older daemon sends it, is joined by a space as it is.
        """
        text = plain(str(fields["text"]))
        body, pending = plain(str(fields.get("body", text))), plain(str(fields.get("pending", "")))
        seam = plain(str(fields.get("seam", " ")))
        if (body + pending).casefold() != text.casefold() or not text.endswith(pending):
            body, pending, seam = text, "", " "
        return cls(text, body, pending, seam, int(fields["session"]), int(fields["utterance"]), follows)

    @property
    def pair(self) -> tuple[int, int]:
        """Session and utterance, which identify the text."""
        return self.session, self.utterance

    @property
    def unmarked(self) -> str:
        """The text as a sentence of its own, without its final mark."""
        return self.text.removesuffix(self.pending)

    def continues(self, session: int, utterance: int) -> bool:
        """Return whether `seam` and `body` continue the text of this utterance."""
        return self.session == session and self.follows == utterance

    def joined(self, *, is_marked: bool, is_spaced: bool) -> str:
        """Return `seam` and `body`. `is_marked`: the earlier body has its final mark; `is_spaced`: it ends with a space."""
        seam = self.seam.lstrip(MARKS) if is_marked else self.seam
        if is_spaced or self.body[:1].isspace():
            seam = seam.removesuffix(" ")
        return seam + self.body


def whole_text(texts: Iterable[Dictated]) -> str:
    """Join texts to whole sentences: by their seams where one continues the other, else by a space."""
    found, mark = "", ""
    before: Dictated | None = None
    for text in texts:
        if before is not None and before.session and text.continues(*before.pair):
            found += text.joined(is_marked=False, is_spaced=found[-1:].isspace())
        elif before is None:
            found = text.unmarked
        else:
            found = spaced(found + mark, text.unmarked.strip(" "))
        before, mark = text, text.pending
    return found + mark


def spaced(*parts: str) -> str:
    """Join texts by spaces, except at a line break or another kind of space."""
    text = ""
    for part in filter(None, parts):
        separated = not text or text[-1].isspace() or part[0].isspace()
        text += part if separated else f" {part}"
    return text


def plain(text: str) -> str:
    """Remove control characters: text must not send escape sequences to a terminal.

    Tabs and all spaces stay. Each kind of line break becomes a newline.
    """
    return "".join(filter(_stays, text.replace("\r\n", "\n").translate(_LINE_ENDS)))


def _stays(character: str) -> bool:
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"
