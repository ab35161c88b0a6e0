"""What the CPU said of the golden clip with a model's very weights, kept in the cache."""

import hashlib
import json
import os
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.golden_verdict import fair
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.layout import model_files
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

VERSION = 1
"""Changes with the shipped clip, and with whatever else changes what is said of it."""


def record_path(files: ModelFiles) -> Path:
    """Where the record of exactly these files belongs: once a file of them has been exchanged or changed, elsewhere.

    Files are known by path, size and time of change, since a daemon that starts can't read gigabytes for a hash.
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
    """What the CPU said of the clip with these very weights, in their precision; None where that is not on record."""
    try:
        content = json.loads(record_path(files).read_text("utf-8"))
        return str(content["text"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_record(files: ModelFiles, text: str) -> None:
    """At once or not at all; records of files that are gone or were changed go. Raises OSError."""
    path = record_path(files)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in path.parent.glob("*.json"):
        if other != path and not _current(other):
            other.unlink(missing_ok=True)
    content = {"model": files.name, "precision": files.precision, "directory": str(files.directory), "text": text}
    new = path.with_suffix(f".{os.getpid()}.new")
    new.write_text(json.dumps(content), "utf-8")
    new.replace(path)


def truths(files: ModelFiles) -> tuple[str, ...]:
    """What may be said of the clip in this precision, as far as it is on record: see core.golden. Best first."""
    own = recorded(files)
    truth = own if files.precision is Precision.FP32 else _in_fp32(files)
    if truth is None:
        return () if own is None else (own,)
    if own is None or own == truth:
        return (truth,)
    return (truth, own) if fair(own, truth) else (truth,)


def _in_fp32(files: ModelFiles) -> str | None:
    try:
        return recorded(model_files(files.name, files.directory, Precision.FP32))
    except ModelInvalid:
        return None


def _current(record: Path) -> bool:
    """Whether a record tells of files that are still there as they were."""
    try:
        content = json.loads(record.read_text("utf-8"))
        files = model_files(str(content["model"]), Path(content["directory"]), Precision(content["precision"]))
        return record_path(files) == record
    except (ModelInvalid, OSError, ValueError, TypeError, KeyError):
        return False
