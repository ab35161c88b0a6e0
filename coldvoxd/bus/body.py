"""Decodes the values of a message.

The layout is specified in https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-marshaling. The
libraries' own decoders are not used: they differ in the types that they return, and dbus-fast's compiled one computes
positions modulo 2^32, so a forged length can keep it busy until memory is full.
"""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from coldvoxd.bus.header import MAX_DEPTH, Malformed
from coldvoxd.bus.library import SignatureType, Variant, parsed_signature

_CODES: Mapping[str, str] = MappingProxyType(
    {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "h": "I", "b": "I"}
)
"""The struct module's codes of the fixed-size types."""
_SIZES: Mapping[str, int] = MappingProxyType({kind: struct.calcsize(code) for kind, code in _CODES.items()})
_ALIGNMENTS: Mapping[str, int] = MappingProxyType(
    {**_SIZES, "s": 4, "o": 4, "a": 4, "g": 1, "v": 1, "(": 8, "{": 8},
)


def decoded(data: bytes, begin: int, signature: str, *, little_endian: bool) -> list[Any]:
    """Decode the values of a signature, the first of which begins at `begin`, a multiple of 8.

    A byte array is returned as bytes, any other array as a list, one of dictionary entries as a dict, a structure as a
    list. Raises ValueError (Malformed, UnicodeDecodeError or the library's) if they are invalid or end early, because
    brokers forward bodies without reading them. The time is proportional to the length of the data.
    """
    reader = _Reader(data, begin, little_endian=little_endian)
    try:
        return [reader.value(kind, 0) for kind in parsed_signature(signature).types]
    except struct.error as error:
        raise Malformed("a body that ends early") from error
    except (LookupError, TypeError) as error:  # dictionary entries outside of arrays, or with variants as keys
        raise Malformed(f"a body with a signature such as {signature!r}") from error


class _Reader:
    """A read position in a message."""

    def __init__(self, data: bytes, begin: int, *, little_endian: bool) -> None:
        self._data = data
        self._position = begin
        self._order = "<" if little_endian else ">"
        self._readers: Mapping[str, Callable[[SignatureType, int], Any]] = {
            "b": lambda _, __: bool(self._fixed("b")),
            "s": lambda _, __: self._text(self._fixed("u")),
            "o": lambda _, __: self._text(self._fixed("u")),
            "g": lambda _, __: self._text(self._fixed("y")),
            "v": self._variant,
            "(": self._structure,
            "a": self._array,
        }

    def value(self, kind: SignatureType, depth: int) -> Any:
        """Read a value; `depth` is the number of containers around it."""
        reader = self._readers.get(kind.token)
        return self._fixed(kind.token) if reader is None else reader(kind, depth)

    def _fixed(self, token: str) -> Any:
        size = _SIZES[token]
        begin = self._position + -self._position % size
        self._position = begin + size
        return struct.unpack_from(self._order + _CODES[token], self._data, begin)[0]

    def _text(self, size: int) -> str:
        """Read so many bytes, and the NUL after them."""
        return str(self._bytes(size + 1)[:-1], "utf-8")

    def _bytes(self, size: int) -> bytes:
        begin = self._position
        self._position += size
        if self._position > len(self._data):
            raise Malformed("a body that ends early")
        return self._data[begin : self._position]

    def _variant(self, _: SignatureType, depth: int) -> Variant:
        tree = parsed_signature(self._text(self._fixed("y")))
        if len(tree.types) != 1:
            raise Malformed("a variant whose signature is not one type")
        return Variant(tree, self.value(tree.types[0], _deeper(depth)))

    def _structure(self, kind: SignatureType, depth: int) -> list[Any]:
        self._align(8)
        return [self.value(child, _deeper(depth)) for child in kind.children]

    def _array(self, kind: SignatureType, depth: int) -> Any:
        size: int = self._fixed("u")
        element = kind.children[0]
        letter = element.token
        self._align(_ALIGNMENTS[letter])
        end = self._position + size
        if end > len(self._data):
            raise Malformed("an array that is longer than its message")
        if letter == "y":
            return self._bytes(size)
        if letter in _SIZES and letter != "b":
            return self._numbers(letter, size)
        depth = _deeper(depth)
        if letter == "{":
            found: Any = {}
            key, value = element.children
            while self._position < end:
                self._align(8)
                name = self.value(key, _deeper(depth))
                found[name] = self.value(value, _deeper(depth))
        else:
            found = []
            while self._position < end:
                found.append(self.value(element, depth))
        if self._position != end:
            raise Malformed("an array whose last element is longer than it")
        return found

    def _numbers(self, letter: str, size: int) -> list[Any]:
        """Read an array's elements, all of one size, at once."""
        count, rest = divmod(size, _SIZES[letter])
        if rest:
            raise Malformed("an array whose last element is longer than it")
        begin = self._position
        self._position += size
        return list(struct.unpack_from(f"{self._order}{count}{_CODES[letter]}", self._data, begin))

    def _align(self, size: int) -> None:
        self._position += -self._position % size


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise Malformed(f"values inside more than {MAX_DEPTH} others")
    return depth + 1
