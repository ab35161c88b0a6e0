"""The part of the ONNX file format needed to check that a file is complete, and which weight files it needs.

Field numbers are from onnx.proto.
"""

import mmap
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from coldvoxd.onnx_graph.protobuf import Buffer, fields, spans

MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_EXTERNAL_DATA = 13
ENTRY_KEY, ENTRY_VALUE = 1, 2


def check_whole(path: Path) -> None:
    """Raise ValueError, completing a sentence that starts with the path, for an empty, truncated or non-ONNX file."""
    if not _graphs_of(path):
        raise ValueError("has no graph: it is truncated or not an ONNX file")


def external_files(path: Path) -> dict[str, int]:
    """The weight files beside the graph, by relative name, with the minimum size of each."""
    needed: dict[str, int] = {}
    for entries in _graphs_of(path):
        for entry in entries:
            location = entry.get("location")
            if location:
                end = int(entry.get("offset", "0")) + int(entry.get("length", "0"))
                needed[location] = max(needed.get(location, 0), end)
    return needed


def packed_offsets(path: Path) -> list[int]:
    """The offsets, by file, of weights that ONNX Runtime has packed for one of its kernels.

    Their entries are `prepacked_N` with `KERNEL+NUMBER|OFFSET;LENGTH;HASH`, the latter possibly repeated.
    """
    return [
        int(place.partition(";")[0])
        for entries in _graphs_of(path)
        for entry in entries
        for key, value in entry.items()
        if key.startswith("prepacked_")
        for place in value.split("|")[1:]
    ]


def _graphs_of(path: Path) -> tuple[tuple[Mapping[str, str], ...], ...]:
    """For each graph (there is one), the external-data entries of its initializers."""
    status = path.stat()
    return _read(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4)  # each start needs the same large file three times
def _read(
    path: Path, _device: int, _inode: int, size: int, _changed_ns: int
) -> tuple[tuple[Mapping[str, str], ...], ...]:
    if size == 0:
        raise ValueError("is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return tuple(
            tuple(
                dict(_entry(content, *span) for span in spans(content, tensor, TENSOR_EXTERNAL_DATA))
                for tensor in spans(content, (begin, end), GRAPH_INITIALIZER)
            )
            for number, begin, end in fields(content, 0, len(content))
            if number == MODEL_GRAPH
        )


def _entry(content: Buffer, begin: int, end: int) -> tuple[str, str]:
    parts = {number: content[first:last].decode() for number, first, last in fields(content, begin, end)}
    return parts.get(ENTRY_KEY, ""), parts.get(ENTRY_VALUE, "")
