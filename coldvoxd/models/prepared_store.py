"""Prepared forms in the cache: which there are, whether one fits, and what they take of the disk.

A form is bound to the model's very files, to ONNX Runtime's build, to the CPU's features and to the provider; all of them
are in its directory's name, so what doesn't fit is not found.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import ModelFiles, Precision, PreparedForm
from coldvoxd.models.layout import model_files
from coldvoxd.native.ort import bound_to
from coldvoxd.native.providers import CPU
from coldvoxd.onnx_graph.external_data import external_files
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

FORMAT = 4
"""Changes with what is written in a form."""
RECORD = "form.json"
WORTH_BYTES = 100_000_000
"""A smaller model is loaded in no time as it is."""
SAMPLES, SAMPLE_BYTES = 32, 4096
"""Of each file so many pieces are read to tell it from another of the same size: gigabytes can't be hashed at each start."""


@dataclass(frozen=True, slots=True)
class StoredForm:
    """One form in the cache."""

    directory: Path
    model: str
    precision: str
    provider: str
    size: int
    """Bytes on disk."""
    fits: bool
    """Whether it is for these files, this ONNX Runtime and this CPU."""


def forms_directory() -> Path:
    """Where the forms are: `~/.cache/coldvoxd/prepared`."""
    return cache_home() / APPLICATION / "prepared"


def form_path(files: ModelFiles, provider: str = CPU) -> Path:
    """Where the form of exactly these files for this machine belongs. Raises OSError where one of them is gone."""
    identity = hashlib.sha256(f"{FORMAT}\0{provider}\0{bound_to()}".encode())
    for path in sources(files):
        found = path.stat()
        identity.update(f"\0{path.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0{fingerprint(path)}".encode())
    return forms_directory() / identity.hexdigest()[:32]


def sources(files: ModelFiles) -> list[Path]:
    """The graphs and the files of their weights."""
    graphs = [files.encoder, files.decoder_joint]
    return graphs + [graph.parent / location for graph in graphs for location in sorted(external_files(graph))]


def source_bytes(files: ModelFiles) -> int:
    """How much a model's graphs and weights take."""
    return sum(path.stat().st_size for path in sources(files))


def is_wanted(files: ModelFiles) -> bool:
    """Whether there is no form of these files and one would be felt."""
    return source_bytes(files) >= WORTH_BYTES and find_form(files) is None


def fingerprint(path: Path) -> str:
    """Of a file's size and of pieces spread evenly over it."""
    size = path.stat().st_size
    found = hashlib.sha256(str(size).encode())
    with path.open("rb", buffering=0) as file:
        for number in range(SAMPLES):
            file.seek(max(0, size - SAMPLE_BYTES) * number // (SAMPLES - 1))
            found.update(file.read(SAMPLE_BYTES))
    return found.hexdigest()[:32]


def find_form(files: ModelFiles, provider: str = CPU) -> PreparedForm | None:
    """The form of these files for this machine; None where there is none or it isn't whole."""
    try:
        directory = form_path(files, provider)
        record = json.loads((directory / RECORD).read_text("utf-8"))
        whole = all(fingerprint(directory / name) == known for name, known in record["files"].items())
        form = PreparedForm(
            directory,
            tuple(directory / name for name in record["encoder"]),
            directory / record["weights"],
            tuple(directory / name for name in record["decoder"]),
            record["link"],
            int(record["threads"]),
            int(record["decoder_threads"]),
            bool(record["masks"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return form if whole else None


def complete_form(partial: Path, files: ModelFiles, form: PreparedForm, provider: str = CPU) -> None:
    """Complete a form that is being made in `partial`, and have all of it on the disk. Raises OSError."""
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
        "link": form.link,
        "threads": form.threads,
        "decoder_threads": form.decoder_threads,
        "masks": form.masks,
        "files": {path.name: fingerprint(path) for path in written},
    }
    (partial / RECORD).write_text(json.dumps(record, indent=1), "utf-8")


def stored_forms() -> tuple[StoredForm, ...]:
    """All that are in the cache, whole or not, the oldest first. What was not finished has no model."""
    root = forms_directory()
    directories = [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    return tuple(_stored(path) for path in sorted(directories, key=lambda path: path.stat().st_mtime_ns))


def remove_form(form: StoredForm) -> None:
    """At once for whoever looks; who has it mapped keeps it until they let go. Raises OSError."""
    hidden = form.directory.with_name(f".{form.directory.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    form.directory.rename(hidden)
    shutil.rmtree(hidden)


def remove_unfit() -> None:
    """Remove the forms of files that are gone or were changed, of another ONNX Runtime or CPU, and what was left unfinished."""
    for form in stored_forms():
        if not form.fits:
            remove_form(form)


def _stored(directory: Path) -> StoredForm:
    size = sum(path.stat().st_size for path in directory.iterdir() if path.is_file())
    try:
        record = json.loads((directory / RECORD).read_text("utf-8"))
        model, precision, provider = str(record["model"]), str(record["precision"]), str(record["provider"])
        files = model_files(model, Path(record["directory"]), Precision(precision))
        found = find_form(files, provider)
    except (ModelInvalid, OSError, ValueError, TypeError, KeyError):
        return StoredForm(directory, "", "", "", size, fits=False)
    return StoredForm(
        directory, model, precision, provider, size, fits=found is not None and found.directory == directory
    )
