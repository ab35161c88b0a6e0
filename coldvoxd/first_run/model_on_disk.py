"""The files of a model on the disk: which precisions it has, and whether sizes and hashes are those that are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ColdvoxError, ModelInvalid
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.models import find_model
from coldvoxd.models.catalog import published
from coldvoxd.models.known_hashes import known_hashes
from coldvoxd.models.layout import model_files, precisions
from coldvoxd.models.manifest import identify
from coldvoxd.models.precision_store import companions, files_of, read_provenance
from coldvoxd.models.published_models import PUBLISHED, PublishedModel

AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "unknown"


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file, and what is known of it."""

    name: str
    bytes: int
    sha256: str
    """Complete, in hex; empty if there was no time."""
    pinned: str
    """Whether size and hash are those that coldvoxd knows of the published model: agrees, differs, unknown."""
    recorded: str
    """Whether they are those of the download, the package, or an earlier check of this directory: agrees, differs, unknown."""


def precisions_of(name: str) -> dict[Precision, ModelFiles]:
    """Return the complete precisions of a model. Raises ModelMissing, or ModelInvalid if none is complete."""
    found: dict[Precision, ModelFiles] = {}
    errors: list[ColdvoxError] = []
    for precision in (Precision.FP32, Precision.INT8, Precision.FP16):
        try:
            found[precision] = find_model(name, precision)
        except ModelInvalid as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def damaged_in(found: dict[Precision, ModelFiles]) -> dict[Precision, str]:
    """Return what is wrong with each precision that the directory has, and that is not among the complete ones."""
    first = next(iter(found.values()))
    damaged: dict[Precision, str] = {}
    for precision in precisions(first.directory):
        if precision not in found:
            try:
                model_files(first.name, first.directory, precision)
            except ModelInvalid as error:
                damaged[precision] = error.fault
    return damaged


def model_of(files: ModelFiles) -> tuple[str, PublishedModel | None]:
    """Return the name under which a model is published, and its entry; the directory's name and None for another one."""
    name = files.directory.name.removesuffix("-onnx") if files.name not in PUBLISHED else files.name
    known = published(name)
    if known is None:
        sizes = {path.name: path.stat().st_size for path in files_of(files)}
        for other, entry in PUBLISHED.items():  # a directory of another name, as a snapshot of a hub's cache
            pins = {file.name: file.size for file in entry.files.get(files.precision, ())}
            if all(pins.get(file) == size for file, size in sizes.items()):
                return other, entry
    return name, known


def check_files(found: dict[Precision, ModelFiles], deadline: Deadline) -> list[FileCheck]:
    """Read all files of a model, as far as the time allows, but none that was converted here. Raises ModelInvalid or OSError."""
    paths = list(dict.fromkeys(path for files in found.values() for path in _own_files(files)))
    total = sum(path.stat().st_size for path in paths) or 1
    read = 0

    def note(size: int) -> None:
        nonlocal read
        read += size
        deadline.done(read / total)

    _, known = model_of(next(iter(found.values())))
    pins = {file.name: file for each in known.files.values() for file in each} if known else {}
    checks = []
    for number, path in enumerate(paths):
        size = path.stat().st_size
        sha256 = "" if number and deadline.is_over else identify(path, note).sha256
        pin = pins.get(path.name)
        pinned = UNKNOWN
        if pin is not None and pin.size >= 0:
            agrees = pin.size == size and (not sha256 or sha256.startswith(pin.sha256))
            pinned = AGREES if agrees else DIFFERS
        checks.append(FileCheck(path.name, size, sha256, pinned, _recorded(path, size, sha256)))
    return checks


def pinned_hashes(files: ModelFiles) -> dict[str, str]:
    """Return the known beginning of each file's hash by name, empty if only its size is known; nothing for an unknown model."""
    _, known = model_of(files)
    return {file.name: file.sha256 for each in known.files.values() for file in each} if known else {}


def _own_files(files: ModelFiles) -> Iterator[Path]:
    if read_provenance(files.directory, files.precision) is None:
        yield from (*companions(files).values(), *files_of(files))


def _recorded(path: Path, size: int, sha256: str) -> str:
    manifest = known_hashes(path.parent)
    identity = manifest.files.get(path.name) if manifest else None
    if identity is None:
        return UNKNOWN
    if identity.size != size:
        return DIFFERS
    return UNKNOWN if not sha256 else AGREES if identity.sha256 == sha256 else DIFFERS


def as_figures(found: dict[Precision, ModelFiles], checks: list[FileCheck]) -> dict[str, Any]:
    """Return the checks for the report."""
    first = next(iter(found.values()))
    name, known = model_of(first)
    pins = pinned_hashes(first)
    return {
        "model": name,
        "repository": known.repository if known else "",
        "revision": known.revision if known else "",
        "damaged": {str(precision): fault for precision, fault in damaged_in(found).items()},
        "part": share_of(sum(bool(one.sha256) for one in checks), checks),
        "files": [
            {
                "name": one.name,
                "bytes": one.bytes,
                "sha256": one.sha256,
                "pinned": one.pinned,
                "pinned_hash": pins.get(one.name, ""),
                "recorded": one.recorded,
            }
            for one in checks
        ],
    }
