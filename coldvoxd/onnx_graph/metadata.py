"""The metadata of an ONNX file, which its exporter may add. Field numbers are from onnx.proto."""

import mmap
from pathlib import Path

from coldvoxd.onnx_graph.protobuf import spans, texts

_METADATA, _KEY, _VALUE = 14, 1, 2


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata by key. Weights are skipped. Raises OSError, or ValueError if it is not an ONNX file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = {}
        for span in spans(content, (0, len(content)), _METADATA):
            key, value = (texts(content, span, number) for number in (_KEY, _VALUE))
            found["".join(key)] = "".join(value)
        return found
