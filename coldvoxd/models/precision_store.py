"""Forms of a model that were made on this machine: which there are, and of what they were made."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.directories import find_model
from coldvoxd.models.file_names import CONFIGURATION, VOCABULARY
from coldvoxd.models.json_file import write_json
from coldvoxd.onnx_graph.external_data import external_files


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when something was made of it."""

    path: str
    size: int
    changed_ns: int
    sha256: str
    """In hex, whole."""

    def is_same(self) -> bool:
        """Whether it is there as it was, as far as can be seen without reading gigabytes."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - it may be anything
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed_ns)


def provenance_path(directory: Path, precision: Precision) -> Path:
    """The file that says of what a precision was made, beside the files that were made."""
    return directory / f"coldvoxd-{precision}.json"


def write_provenance(directory: Path, precision: Precision, sources: Iterable[SourceFile], converter: str) -> None:
    """Raises OSError."""
    entries = [asdict(source) for source in sources]
    write_json(provenance_path(directory, precision), {"converter": converter, "sources": entries})


def read_provenance(directory: Path, precision: Precision) -> tuple[SourceFile, ...] | None:
    """The files of which it was made; None where it was not made here, or the record can't be read."""
    try:
        content = json.loads(provenance_path(directory, precision).read_text("utf-8"))
        return tuple(_source(entry) for entry in content["sources"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def find_converted(name_or_path: str, precision: Precision) -> ModelFiles | None:
    """The model's files in a precision that may be made here, where they are there, whole, and made of what is there now."""
    try:
        files = find_model(name_or_path, precision)
    except (ModelMissing, ModelInvalid):
        return None
    sources = read_provenance(files.directory, precision)
    if sources is None and provenance_path(files.directory, precision).exists():
        return None
    return files if all(source.is_same() for source in sources or ()) else None


def files_of(files: ModelFiles) -> tuple[Path, ...]:
    """All that a model's precision is read from, weights beside the graphs included. Raises OSError."""
    graphs = (files.encoder, files.decoder_joint)
    weights = (graph.parent / name for graph in graphs for name in sorted(external_files(graph)))
    return (*graphs, *weights)


def companions(files: ModelFiles) -> Mapping[str, Path]:
    """What a directory needs beside the graphs, by its name there."""
    found = {VOCABULARY: files.vocabulary}
    return found | {CONFIGURATION: files.config} if files.config is not None else found


def _source(entry: Mapping[str, object]) -> SourceFile:
    return SourceFile(str(entry["path"]), int(str(entry["size"])), int(str(entry["changed_ns"])), str(entry["sha256"]))
