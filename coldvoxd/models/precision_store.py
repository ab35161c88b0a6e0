"""Precisions of a model that were converted on this machine, and the files they were converted from."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.directories import find_model
from coldvoxd.models.file_names import CONFIGURATION
from coldvoxd.models.json_file import write_json
from coldvoxd.onnx_graph.external_data import external_files


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file as it was at the conversion."""

    path: str
    size: int
    changed_ns: int
    sha256: str
    """Complete, in hex."""

    def is_same(self) -> bool:
        """Whether the file is unchanged, judged by size and time of change: hashing takes too long."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - it may be anything
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_ns)


def provenance_path(directory: Path, precision: Precision) -> Path:
    """The record of the sources, stored beside the converted files."""
    return directory / f"coldvoxd-{precision}.json"


def write_provenance(directory: Path, precision: Precision, sources: Iterable[SourceFile], converter: str) -> None:
    """Record the sources of a precision. Raises OSError."""
    entries = [asdict(source) for source in sources]
    write_json(provenance_path(directory, precision), {"converter": converter, "sources": entries})


def read_provenance(directory: Path, precision: Precision) -> tuple[SourceFile, ...] | None:
    """The sources of a precision; None if it was not converted here or the record is unreadable."""
    try:
        content = json_value(provenance_path(directory, precision).read_text("utf-8"))
        return tuple(_source(entry) for entry in content["sources"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def find_converted(name_or_path: str, precision: Precision) -> ModelFiles | None:
    """The model's files in a precision; None if they are missing, incomplete or converted from files that have changed."""
    try:
        files = find_model(name_or_path, precision)
    except (ModelMissing, ModelInvalid):
        return None
    sources = read_provenance(files.directory, precision)
    if sources is None and provenance_path(files.directory, precision).exists():
        return None
    return files if all(source.is_same() for source in sources or ()) else None


def files_of(files: ModelFiles) -> tuple[Path, ...]:
    """The graphs of a model and their files of weights. Raises OSError."""
    weights = (graph.parent / name for graph in files.graphs for name in sorted(external_files(graph)))
    return (*files.graphs, *weights)


def companions(files: ModelFiles) -> Mapping[str, Path]:
    """The files that a directory needs in addition to the graphs, by their names there."""
    found = {files.vocabulary.name: files.vocabulary}
    return found | {CONFIGURATION: files.config} if files.config is not None else found


def _source(entry: Mapping[str, object]) -> SourceFile:
    return SourceFile(str(entry["path"]), int(str(entry["size"])), int(str(entry["changed_ns"])), str(entry["sha256"]))
