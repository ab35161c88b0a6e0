"""Reads the header of a D-Bus message without its body.

The layout is specified in https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-messages. Fields
and message types of later versions are ignored, as the specification requires.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

FIXED_BYTES = 16
"""Size of the fixed part of every header, which gives the length of the rest."""
LARGEST_MESSAGE_BYTES = 1 << 27
"""The specification's limit, header included. The bus forwards no longer message."""
MAX_FIELDS = 64
"""Maximum number of fields; the specification has 9. Each field costs time, and a header could hold millions."""
MAX_DEPTH = 64
"""Maximum depth of nested containers, as in the specification."""
NO_REPLY_EXPECTED = 1
CACHED_HEADERS = 256
CACHED_HEADER_BYTES = 1024
"""Fields of headers up to this length are cached: a client that calls often sends the same ones each time."""
_LITTLE_ENDIAN = ord("l")
_LITTLE, _BIG = struct.Struct("<BBBBIII").unpack_from, struct.Struct(">BBBBIII").unpack_from

_UNSIGNED = (struct.Struct(">I").unpack_from, struct.Struct("<I").unpack_from)
"""Unpacks one unsigned number; the index is whether it is little-endian."""


class Type(IntEnum):
    """Message types. All others are ignored."""

    METHOD_CALL = 1
    METHOD_RETURN = 2
    ERROR = 3
    SIGNAL = 4


class Malformed(ValueError):
    """A message violates the specification. The bus should not have forwarded it."""


_FIELDS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        1: ("path", "o"),
        2: ("interface", "s"),
        3: ("member", "s"),
        4: ("error_name", "s"),
        5: ("reply_serial", "u"),
        6: ("destination", "s"),
        7: ("sender", "s"),
        8: ("signature", "g"),
        9: ("descriptors", "u"),
    }
)
"""Name and type by field code."""
_PLAIN: Mapping[bytes, tuple[str, str]] = MappingProxyType(
    {bytes((code, 1, ord(kind), 0)): (name, kind) for code, (name, kind) in _FIELDS.items()}
)
"""The same, keyed by the field's first 4 bytes: its code and the signature of its type."""
_SIZES: Mapping[str, int] = MappingProxyType(
    {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}
)
"""Sizes in bytes of the fixed-size types, which are also their alignments."""
_ALIGNMENTS: Mapping[str, int] = MappingProxyType({**_SIZES, "s": 4, "o": 4, "a": 4, "g": 1, "v": 1, "(": 8, "{": 8})


class Lengths(NamedTuple):
    """Values of the fixed part of a header."""

    little_endian: bool
    type: int
    flags: int
    serial: int
    header_bytes: int
    """Size of everything before the body, padding included."""
    body_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.header_bytes + self.body_bytes

    @property
    def wants_reply(self) -> bool:
        """Whether the sender expects a reply."""
        return self.type == Type.METHOD_CALL and not self.flags & NO_REPLY_EXPECTED


class Fields(NamedTuple):
    """The header fields; None or empty if a message has no such field."""

    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error_name: str | None = None
    reply_serial: int | None = None
    destination: str | None = None
    sender: str | None = None
    signature: str = ""
    descriptors: int = 0
    """Number of file descriptors that accompany the message."""


def read_lengths(buffer: bytearray, at: int = 0) -> Lengths:
    """Decode the fixed part of the message that begins at `at`. Its first FIXED_BYTES must be in the buffer.

    Raises Malformed; it is then unknown where the next message begins.
    """
    little_endian = buffer[at] == _LITTLE_ENDIAN
    order, kind, flags, version, body_bytes, serial, field_bytes = (_LITTLE if little_endian else _BIG)(buffer, at)
    if order not in b"lB" or version != 1:
        raise Malformed(f"no message begins with the bytes {bytes(buffer[at : at + 4])!r}")
    header_bytes = FIXED_BYTES + field_bytes + -field_bytes % 8
    if header_bytes + body_bytes > LARGEST_MESSAGE_BYTES:
        raise Malformed(f"a message of {header_bytes + body_bytes} bytes is longer than the specification allows")
    return Lengths(little_endian, kind, flags, serial, header_bytes, body_bytes)


def read_fields(header: bytes | bytearray, lengths: Lengths, at: int = 0) -> Fields:
    """Decode the fields of the complete header that begins at `at`; more data may follow it. Raises Malformed."""
    array = bytes(header[at + FIXED_BYTES - 4 : at + lengths.header_bytes])
    if len(array) > CACHED_HEADER_BYTES:
        return _decoded(array, lengths.little_endian)
    return _remembered(array, lengths.little_endian)


def _decoded(array: bytes, little_endian: bool) -> Fields:
    """Decode the fields from their array, which includes its length."""
    reader = _Fields(b"\0" * (FIXED_BYTES - 4) + array, little_endian=little_endian)
    try:
        return Fields(**reader.read())  # type: ignore[arg-type]  # the names and types are those of _FIELDS
    except (struct.error, LookupError, UnicodeDecodeError) as error:
        raise Malformed(f"a header that ends early or is no text ({error})") from error


_remembered = lru_cache(CACHED_HEADERS)(_decoded)


class _Fields:
    """A read position in the array of fields."""

    def __init__(self, header: bytes, *, little_endian: bool) -> None:
        self._unsigned = _UNSIGNED[little_endian]
        self._header = header
        (size,) = self._unsigned(header, FIXED_BYTES - 4)
        self.position = FIXED_BYTES
        self.end = FIXED_BYTES + size

    def read(self) -> dict[str, str | int]:
        """Return all known fields by name. Known fields are read in this one function, which halves the time.

        Raises Malformed, and if the array ends early also struct.error, LookupError or UnicodeDecodeError.
        """
        header, unsigned, position, end = self._header, self._unsigned, self.position, self.end
        found: dict[str, str | int] = {}
        for _ in range(MAX_FIELDS):
            if position >= end:
                break
            position += -position % 8
            name, kind = _PLAIN.get(header[position : position + 4], ("", ""))
            if not name:
                position = self._skip_field(position)
            elif kind == "u":
                found[name] = unsigned(header, position + 4)[0]
                position += 8
            else:
                size = header[position + 4] if kind == "g" else unsigned(header, position + 4)[0]
                begin = position + (5 if kind == "g" else 8)
                position = begin + size + 1
                found[name] = str(header[begin : position - 1], "utf-8")
            if position > end:
                raise Malformed("a header field that is longer than the header")
        if position < end:
            raise Malformed(f"a header of more than {MAX_FIELDS} fields")
        return found

    def _skip_field(self, position: int) -> int:
        """Return the end of a later version's field that begins at `position`."""
        self.position = position
        code, signature = self.byte(), self.signature()
        if code in _FIELDS:
            raise Malformed(f"the field {_FIELDS[code][0]} is of type {signature!r}")
        self.skip(signature)
        return self.position

    def align(self, size: int) -> None:
        self.position += -self.position % size

    def byte(self) -> int:
        self.position += 1
        return self._header[self.position - 1]

    def number(self) -> int:
        self.align(4)
        self.position += 4
        found: int = self._unsigned(self._header, self.position - 4)[0]
        return found

    def signature(self) -> str:
        return self.text("g")

    def text(self, kind: str) -> str:
        """Read a string, an object path or a signature."""
        size = self.byte() if kind == "g" else self.number()
        begin = self.position
        self.position += size + 1
        if self.position > self.end:
            raise Malformed("a header field that is longer than the header")
        return str(self._header[begin : begin + size], "utf-8")

    def skip(self, signature: str) -> None:
        """Skip one value of this type. The time does not depend on the value's size."""
        if self._skip(signature, 0, 0) != len(signature):
            raise Malformed(f"{signature!r} is not one type")
        if self.position > self.end:
            raise Malformed("a header field that is longer than the header")

    def _skip(self, signature: str, at: int, depth: int) -> int:
        """Skip a value of the type at index `at` of the signature, and return the index after the type."""
        kind = signature[at]
        if depth > MAX_DEPTH or kind not in _ALIGNMENTS:
            raise Malformed(f"a header field of type {signature!r}")
        if kind in _SIZES:
            self.align(_SIZES[kind])
            self.position += _SIZES[kind]
        elif kind in "sog":
            self.text(kind)
        elif kind == "v":
            inner = self.signature()
            self._skip(inner, 0, depth + 1)
        elif kind == "a":
            size = self.number()
            self.align(_ALIGNMENTS[signature[at + 1]])
            self.position += size
            return _end_of_type(signature, at + 1, depth + 1)
        else:
            self.align(8)
            at += 1
            while signature[at] not in ")}":
                at = self._skip(signature, at, depth + 1)
        return at + 1


def _end_of_type(signature: str, at: int, depth: int) -> int:
    """Return the index after the type that begins at index `at`."""
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    if depth > MAX_DEPTH:
        raise Malformed(f"a header field of type {signature!r}")
    at += 1
    while signature[at] not in ")}":
        at = _end_of_type(signature, at, depth + 1)
    return at + 1
