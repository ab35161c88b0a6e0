"""What the CPU recognized in the golden clip with a model's exact weights, kept in the cache."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.golden_verdict import fair
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.json_file import write_json
from coldvoxd.models.layout import model_files
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

VERSION = 1
"""Changes with the shipped clip, and with whatever else changes the text that is recognized in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is on record of the golden clip for a model in one precision."""

    truths: tuple[str, ...] = ()
    """Accepted texts, best first, see core.golden_verdict; empty where none is on record."""
    is_trusted: bool = False
    """The text of this precision is on record and accepted."""


def verdict_path(files: ModelFiles) -> Path:
    """Where the text of exactly these files is kept; another path once one of them was replaced or changed.

    Files are identified by path, size and time of change, since a daemon that starts can't read gigabytes for a hash.
    Raises OSError where one is gone.
    """
    named = [files.encoder, files.decoder_joint, files.vocabulary, *([files.config] if files.config else [])]
    for graph in (files.encoder, files.decoder_joint):
        named += [graph.parent / location for location in sorted(external_files(graph))]
    identity = hashlib.sha256(f"{VERSION}".encode())
    for path in named:
        found = path.stat()
        identity.update(f"\0{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}".encode())
    return cache_home() / APPLICATION / "golden" / f"{identity.hexdigest()[:32]}.json"


def recorded(files: ModelFiles) -> str | None:
    """What the CPU recognized in the clip with exactly these weights; None where that is not on record."""
    try:
        content = json.loads(verdict_path(files).read_text("utf-8"))
        return str(content["text"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_verdict(files: ModelFiles, text: str) -> None:
    """Put the text on record, and remove records of files that are gone or were changed. Raises OSError."""
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
    """Whether the files of a record are still there as they were."""
    try:
        content = json.loads(record.read_text("utf-8"))
        files = model_files(str(content["model"]), Path(content["directory"]), Precision(content["precision"]))
        return verdict_path(files) == record
    except (ModelInvalid, OSError, ValueError, TypeError, KeyError):
        return False
