"""Prepared forms in the cache: finding, listing and removing them.

A form is bound to the exact files of the model, to ONNX Runtime's build, to the CPU's features and to the provider. The
name of its directory is a hash of all of them, so a form that does not fit is not found.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.layout import model_files
from coldvoxd.native.ort import bound_to
from coldvoxd.native.providers import CPU
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

FORMAT = 4
"""Must be raised when the content of a form changes."""
RECORD = "form.json"
WORTH_BYTES = 100_000_000
"""A smaller model loads fast without a form."""
SAMPLES, SAMPLE_BYTES = 32, 4096
"""Number and size of the pieces that are hashed of each file: hashing gigabytes would delay each start."""


@dataclass(frozen=True, slots=True)
class StoredForm:
    """One form in the cache."""

    directory: Path
    model: str
    precision: str
    provider: str
    size: int
    """Size on disk in bytes."""
    fits: bool
    """Whether it fits the model's files, this ONNX Runtime and this CPU."""


def forms_directory() -> Path:
    """The directory of the forms, `~/.cache/coldvoxd/prepared`."""
    return cache_home() / APPLICATION / "prepared"


def form_path(files: ModelFiles, provider: str = CPU) -> Path:
    """The path of the form of exactly these files for this machine. Raises OSError if one of them is missing."""
    identity = hashlib.sha256(f"{FORMAT}\0{provider}\0{bound_to()}".encode())
    for path in sources(files):
        found = path.stat()
        identity.update(f"\0{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0{fingerprint(path)}".encode())
    return forms_directory() / identity.hexdigest()[:32]


def sources(files: ModelFiles) -> list[Path]:
    """The graphs and their files of weights."""
    graphs = files.graphs
    return [*graphs, *(graph.parent / location for graph in graphs for location in sorted(external_files(graph)))]


def source_bytes(files: ModelFiles) -> int:
    """Size in bytes of a model's graphs and weights."""
    return sum(path.stat().st_size for path in sources(files))


def is_wanted(files: ModelFiles) -> bool:
    """Whether these files have no form, and are large enough to need one."""
    return source_bytes(files) >= WORTH_BYTES and find_form(files) is None


def fingerprint(path: Path) -> str:
    """A hash of a file's size and of pieces spread evenly over it."""
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb", buffering=0) as file:
        for number in range(SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * number // (SAMPLES - 1))
            found.update(file.read(SAMPLE_BYTES))
    return found.hexdigest()[:32]


def find_form(files: ModelFiles, provider: str = CPU) -> PreparedForm | None:
    """The form of these files for this machine; None if it is missing or incomplete."""
    try:
        directory = form_path(files, provider)
        record = json_value((directory / RECORD).read_text("utf-8"))
        whole = all(fingerprint(directory / name) == known for name, known in record["files"].items())
        form = PreparedForm(
            directory,
            tuple(directory / name for name in record["encoder"]),
            directory / record["weights"],
            tuple(directory / name for name in record["decoder"]),
            int(record["threads"]),
            int(record["decoder_threads"]),
            bool(record["masks"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return form if whole else None


def complete_form(partial: Path, files: ModelFiles, form: PreparedForm, provider: str = CPU) -> None:
    """Flush the files of a new form in `partial` to the disk and add its record. Raises OSError."""
    written = [path for path in partial.iterdir() if path.is_file()]
    for path in written:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    record = {
        "model": files.name,
        "precision": str(files.precision),
        "directory": str(files.directory),
        "provider": provider,
        "encoder": [path.name for path in form.encoder],
        "weights": form.weights.name,
        "decoder": [path.name for path in form.decoder],
        "threads": form.threads,
        "decoder_threads": form.decoder_threads,
        "masks": form.masks,
        "files": {path.name: fingerprint(path) for path in written},
    }
    (partial / RECORD).write_text(json.dumps(record, indent=1), "utf-8")


def stored_forms() -> tuple[StoredForm, ...]:
    """All forms in the cache, the oldest first; an incomplete one has no model."""
    root = forms_directory()
    directories = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return tuple(_stored(path) for path in sorted(directories, key=lambda path: path.stat().st_mtime_ns))


def remove_form(form: StoredForm) -> None:
    """Remove a form atomically; processes that have mapped it keep their mapping. Raises OSError."""
    hidden = form.directory.with_name(f".{form.directory.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    form.directory.rename(hidden)
    shutil.rmtree(hidden)


def remove_unfit() -> None:
    """Remove incomplete forms, and those of missing or changed files, another ONNX Runtime or another CPU."""
    for form in stored_forms():
        if not form.fits:
            remove_form(form)


def _stored(directory: Path) -> StoredForm:
    size = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    try:
        record = json_value((directory / RECORD).read_text("utf-8"))
        model, precision, provider = str(record["model"]), str(record["precision"]), str(record["provider"])
        files = model_files(model, Path(record["directory"]), Precision(precision))
        found = find_form(files, provider)
    except (ModelInvalid, OSError, ValueError, TypeError, KeyError):
        return StoredForm(directory, "", "", "", size, fits=False)
    return StoredForm(
        directory, model, precision, provider, size, fits=found is not None and found.directory == directory
    )
