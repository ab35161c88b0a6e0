"""Protobuf's wire format, used by ONNX files: fields with a number and a content.

Contents are skipped by their lengths, so that a file of any size is read in milliseconds.
"""

from collections.abc import Iterator
from typing import Protocol

LENGTH_DELIMITED = 2


class Buffer(Protocol):
    """Bytes, or a mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> bytes: ...


def fields(content: Buffer, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the content of each field; ValueError if one reaches past `end`."""
    for number, _, begin, after in whole_fields(content, position, end):
        yield number, begin, after


def whole_fields(content: Buffer, position: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The same with the start of the field itself: number, field, start and end of its content."""
    while position < end:
        field = position
        key, position = _varint(content, position, end)
        match key & 7:
            case 0:
                begin = position
                _, position = _varint(content, position, end)
            case 1:
                begin, position = position, position + 8
            case 2:
                length, begin = _varint(content, position, end)
                position = begin + length
            case 5:
                begin, position = position, position + 4
            case _:
                raise ValueError("is not an ONNX file")
        if position > end:
            raise ValueError(f"is truncated or damaged: {position - end} bytes are missing")
        yield key >> 3, field, begin, position


def spans(content: Buffer, outer: tuple[int, int], wanted: int) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each field with that number."""
    return ((begin, end) for number, begin, end in fields(content, *outer) if number == wanted)


def texts(content: Buffer, outer: tuple[int, int], wanted: int) -> list[str]:
    """The contents of the text fields with that number."""
    return [content[begin:end].decode() for begin, end in spans(content, outer, wanted)]


def written(number: int, content: bytes) -> bytes:
    """An encoded field with a message, a text or bytes."""
    return head(number, len(content)) + content


def head(number: int, length: int) -> bytes:
    """The header before the content of such a field."""
    return _written_varint(number << 3 | LENGTH_DELIMITED) + _written_varint(length)


def written_number(number: int, value: int) -> bytes:
    """An encoded field with an unsigned number."""
    return _written_varint(number << 3) + _written_varint(value)


def _varint(content: Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position : position + 1][0]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("is truncated or not an ONNX file")


def _written_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
