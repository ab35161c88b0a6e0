"""The content of a selection by type: which types are saved, and which follow from others."""

import json
from collections.abc import Iterable, Mapping, Sequence

Content = Mapping[str, bytes]
"""Bytes by content type: a MIME type, or a target of X11."""

LARGEST_BYTES = 64 << 20
"""Content beyond this is not kept. A copied picture of 4,000 by 4,000 pixels has at most 64 MB as PNG."""

_NO_CONTENT = frozenset(
    [
        "TARGETS",
        "TIMESTAMP",
        "MULTIPLE",
        "SAVE_TARGETS",
        "DELETE",
        "INCR",
        "INSERT_SELECTION",
        "INSERT_PROPERTY",
        "LENGTH",
        "LIST_LENGTH",
        "PIXMAP",
        "BITMAP",
        "DRAWABLE",
        "COLORMAP",
        "FOREGROUND",
        "BACKGROUND",
        "WINDOW",
        "CLIENT_WINDOW",
        "CLASS",
        "NAME",
        "HOST_NAME",
        "OWNER_OS",
        "PROCESS",
        "TASK",
        "USER",
        "CHARACTER_POSITION",
        "COLUMN_NUMBER",
        "LINE_NUMBER",
        "FILE_NAME",
        "PROCEDURE",
        "MODULE",
        "GTK_TEXT_BUFFER_CONTENTS",
    ]
)
"""Targets of the Inter-Client Communication Conventions that are requests, describe the content, or name objects of the
X server or of the program that owns the selection."""
_FIRST = (
    "x-special/gnome-copied-files",
    "image/png",
    "text/uri-list",
    "text/html",
    "UTF8_STRING",
    "text/plain;charset=utf-8",
    "text/plain",
    "STRING",
)
"""The most informative types, the best first."""
_UTF8 = ("UTF8_STRING", "text/plain;charset=utf-8", "text/plain;charset=UTF-8")
_FROM_UTF8 = (*_UTF8, "text/plain", "TEXT")
_LATIN1 = ("STRING", "COMPOUND_TEXT")
"""Encodings of a text in X11. Both have the bytes of ISO 8859-1 if that has all characters."""
_TEXTS = frozenset((*_FROM_UTF8, *_LATIN1))


def to_read(offered: Iterable[str]) -> list[str]:
    """Return the types to read, the most informative first; `completed` adds those that follow from them."""
    kinds = [kind for kind in dict.fromkeys(offered) if kind and kind not in _NO_CONTENT]
    text = next((kind for kind in _UTF8 if kind in kinds), None)
    return sorted((kind for kind in kinds if not text or kind == text or kind not in _TEXTS), key=_rank)


def completed(read: Content, offered: Iterable[str], *, latin1: bool) -> Content:
    """Return what was read, with the types that were offered and follow from a text in UTF-8.

    With `latin1`, types that X11 defines as ISO 8859-1 are encoded so, and left out if they can't be.
    """
    content = dict(read)
    text = next((read[kind] for kind in _UTF8 if kind in read), None)
    if text is None:
        return content
    for kind in offered:
        if kind in _FROM_UTF8 or (kind in _LATIN1 and not latin1):
            content.setdefault(kind, text)
        elif kind in _LATIN1:
            try:
                content.setdefault(kind, text.decode().encode("latin-1"))
            except UnicodeError:
                continue
    return content


def is_conversion(kind: str, read: Content) -> bool:
    """Return whether `kind` is another format of a picture that was read: its owner makes it when it is asked."""
    return kind.startswith("image/") and any(other.startswith("image/") for other in read)


def best(content: Content) -> str:
    """Return the most informative type."""
    return min(content, key=_rank)


def has_one_kind(content: Content) -> bool:
    """Return whether the best type says all: there is no other, or all are encodings of the same text."""
    return len(content) == 1 or _TEXTS.issuperset(content)


def is_copy(found: Content, parts: Sequence[bytes]) -> bool:
    """Return whether `found` consists of these parts: a clipboard manager copies some of a content's types."""
    return bool(found) and all(part in parts for part in found.values())


def packed(content: Content) -> Sequence[bytes]:
    """Return parts that `unpacked` reads: a line of JSON, then each content once."""
    parts = list({id(part): part for part in content.values()}.values())
    places = {id(part): place for place, part in enumerate(parts)}
    head = {
        "lengths": [len(part) for part in parts],
        "kinds": {kind: places[id(part)] for kind, part in content.items()},
    }
    return [json.dumps(head).encode() + b"\n", *parts]


def unpacked(given: bytes) -> Content:
    """Return the content of `packed`."""
    line, _, rest = given.partition(b"\n")
    head = json.loads(line)
    parts, at = [], 0
    for length in head["lengths"]:
        parts.append(rest[at : at + length])
        at += length
    return {kind: parts[place] for kind, place in head["kinds"].items()}


def _rank(kind: str) -> int:
    if kind in _FIRST:
        return _FIRST.index(kind)
    return len(_FIRST) + kind.startswith("image/")
