"""The CPU's texts for the golden clip, stored in the cache by the exact weights of a model."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.golden_verdict import fair
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.json_file import write_json
from coldvoxd.models.layout import model_files
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

VERSION = 1
"""Must be raised with the shipped clip, and with anything else that changes its text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is on record of the golden clip for a model in one precision."""

    truths: tuple[str, ...] = ()
    """Accepted texts, best first, see core.golden_verdict; empty where none is on record."""
    is_trusted: bool = False
    """The text of this precision is on record and accepted."""


def verdict_path(files: ModelFiles) -> Path:
    """The path of the record for exactly these files; it changes when one of the files is replaced or modified.

    Files are identified by path, size and modification time, because hashing gigabytes would delay the daemon's start.
    Raises OSError if one does not exist.
    """
    named = [*files.graphs, files.vocabulary, *([files.config] if files.config else [])]
    for graph in files.graphs:
        named += [graph.parent / location for location in sorted(external_files(graph))]
    identity = hashlib.sha256(f"{VERSION}".encode())
    for path in named:
        found = path.stat()
        identity.update(f"\0{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}".encode())
    return cache_home() / APPLICATION / "golden" / f"{identity.hexdigest()[:32]}.json"


def recorded(files: ModelFiles) -> str | None:
    """The CPU's text for the clip with exactly these weights, in their precision; None without a record."""
    try:
        content = json_value(verdict_path(files).read_text("utf-8"))
        return str(content["text"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_verdict(files: ModelFiles, text: str) -> None:
    """Write a record atomically, and delete records of files that were removed or modified. Raises OSError."""
    path = verdict_path(files)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob("*.json"):
        if other != path and not _current(other):
            other.unlink(missing_ok=True)
    content = {"model": files.name, "precision": files.precision, "directory": str(files.directory), "text": text}
    write_json(path, content)


def verdict(files: ModelFiles) -> Verdict:
    """What is on record of these files, and in fp32 of the same model. Reads the graphs' headers."""
    own = recorded(files)
    truth = own if files.precision is Precision.FP32 else _in_fp32(files)
    if own is None:
        return Verdict(() if truth is None else (truth,))
    if truth is None or own == truth:
        return Verdict((own,), is_trusted=True)
    return Verdict((truth, own), is_trusted=True) if fair(own, truth) else Verdict((truth,))


def _in_fp32(files: ModelFiles) -> str | None:
    try:
        return recorded(model_files(files.name, files.directory, Precision.FP32))
    except ModelInvalid:
        return None


def _current(record: Path) -> bool:
    """Whether the files of a record still exist unchanged."""
    try:
        content = json_value(record.read_text("utf-8"))
        files = model_files(str(content["model"]), Path(content["directory"]), Precision(content["precision"]))
        return verdict_path(files) == record
    except (ModelInvalid, OSError, ValueError, TypeError, KeyError):
        return False
