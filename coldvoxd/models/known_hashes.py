"""The known hashes of a model's files: of a download, of the bundled model, and of files that were copied here by hand.

The hashes of files that were copied by hand are unknown at first, and are recorded at the first check.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.text_formats import json_value
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.manifest import FILE, FileIdentity, Manifest, read_manifest, write_manifest
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.base_directories import APPLICATION

BUNDLED_RECORD = "manifest.json"
"""In the bundled model's directory: the hashes of its files, beside the texts of its samples."""


def known_hashes(directory: Path) -> Manifest | None:
    """The hashes of a directory's files; None if none are known. Raises ModelInvalid if their record is unreadable."""
    if (downloaded := read_manifest(directory)) is not None:
        return downloaded
    if directory == bundled_directory():
        return _bundled(directory)
    return read_manifest(_place(directory))


def record_placed(directory: Path, names: Iterable[str], identities: dict[str, FileIdentity]) -> None:
    """Record the hashes of files that were copied here by hand, in the cache: the directory may be read-only. Raises OSError."""
    place = _place(directory)
    place.mkdir(parents=True, exist_ok=True)
    write_manifest(place, Manifest(str(directory), "", {name: identities[name] for name in names}))


def record_of_placed(directory: Path) -> Path:
    """The record of files that were copied here by hand, which need not exist."""
    return _place(directory) / FILE


def _bundled(directory: Path) -> Manifest:
    record = directory / BUNDLED_RECORD
    try:
        hashes = json_value(record.read_text("utf-8"))["sha256"]
        sizes = {name: (directory / name).stat().st_size for name in hashes if (directory / name).exists()}
        return Manifest(
            "", "", {str(name): FileIdentity(sizes.get(name, 0), str(sha256)) for name, sha256 in hashes.items()}
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ModelInvalid(f"{record} cannot be read ({fault}): install coldvoxd again") from fault


def _place(directory: Path) -> Path:
    name = hashlib.sha256(str(directory.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return base_directories.cache_home() / APPLICATION / "placed" / name
