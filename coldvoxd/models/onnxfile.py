"""Just enough of the ONNX file format to tell whether a file is whole and which files of weights it needs.

ONNX files are protobuf messages: fields of (number, wire type, content). Weights are skipped by their lengths, so a
file of any size is read in milliseconds. Field numbers are from onnx.proto.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_EXTERNAL_DATA = 13
ENTRY_KEY, ENTRY_VALUE = 1, 2


class _Buffer(Protocol):
    def __len__(self) -> int: ...
    def __getitem__(self, index: slice, /) -> bytes: ...


def check_whole(path: Path) -> None:
    """Raise ValueError, completing a sentence that begins with the path, where the file is empty, cut off or no ONNX."""
    for _ in _graphs_of(path):
        return
    raise ValueError("holds no graph: it is cut off or not an ONNX file")


def external_files(path: Path) -> dict[str, int]:
    """Files of weights beside the graph, by relative name, with the least size each must have."""
    needed: dict[str, int] = {}
    for entries in _graphs_of(path):
        for entry in entries:
            location = entry.get("location")
            if location:
                end = int(entry.get("offset", "0")) + int(entry.get("length", "0"))
                needed[location] = max(needed.get(location, 0), end)
    return needed


def _graphs_of(path: Path) -> Iterator[list[dict[str, str]]]:
    """For each graph (there is one): the external-data entries of its initializers."""
    if path.stat().st_size == 0:
        raise ValueError("is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for number, begin, end in _fields(content, 0, len(content)):
            if number == MODEL_GRAPH:
                yield [
                    dict(_entry(content, *span) for span in _spans(content, tensor, TENSOR_EXTERNAL_DATA))
                    for tensor in _spans(content, (begin, end), GRAPH_INITIALIZER)
                ]


def _spans(content: _Buffer, outer: tuple[int, int], wanted: int) -> Iterator[tuple[int, int]]:
    return ((begin, end) for number, begin, end in _fields(content, *outer) if number == wanted)


def _entry(content: _Buffer, begin: int, end: int) -> tuple[str, str]:
    parts = {number: content[first:last].decode() for number, first, last in _fields(content, begin, end)}
    return parts.get(ENTRY_KEY, ""), parts.get(ENTRY_VALUE, "")


def _fields(content: _Buffer, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the content of each field; ValueError where one reaches past `end`."""
    while position < end:
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
            raise ValueError(f"is cut off or damaged: {position - end} bytes are missing")
        yield key >> 3, begin, position


def _varint(content: _Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = content[position : position + 1][0]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("is cut off or not an ONNX file")
