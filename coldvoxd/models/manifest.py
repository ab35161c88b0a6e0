"""The manifest of a downloaded model: sizes and hashes of its files, stored beside them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.text_formats import json_value
from coldvoxd.models.json_file import write_json

FILE = "coldvoxd-model.json"
_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class FileIdentity:
    size: int
    sha256: str
    """Complete, in hex."""


@dataclass(frozen=True, slots=True)
class Manifest:
    repository: str
    revision: str
    files: dict[str, FileIdentity]
    """By file name."""


def read_manifest(directory: Path) -> Manifest | None:
    """The directory's manifest; None if it has none, as with files placed by hand. Raises ModelInvalid if it is unreadable."""
    path = directory / FILE
    if not path.is_file():
        return None
    try:
        content = json_value(path.read_text("utf-8"))
        return Manifest(
            str(content["repository"]),
            str(content["revision"]),
            {
                str(name): FileIdentity(int(entry["size"]), str(entry["sha256"]))
                for name, entry in content["files"].items()
            },
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        raise ModelInvalid(
            f"{path} cannot be read ({fault}): remove it; the files then count as copied by hand"
        ) from fault


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest. Raises OSError."""
    content = {
        "repository": manifest.repository,
        "revision": manifest.revision,
        "files": {
            name: {"size": identity.size, "sha256": identity.sha256}
            for name, identity in sorted(manifest.files.items())
        },
    }
    write_json(directory / FILE, content)


def identify(path: Path, on_read: Callable[[int], None] = lambda _: None) -> FileIdentity:
    """Read the whole file, calling `on_read` with the size of each block. Blocks; raises OSError."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
            on_read(len(block))
    return FileIdentity(size, digest.hexdigest())


def damage(
    directory: Path,
    manifest: Manifest,
    name: str,
    on_read: Callable[[int], None] = lambda _: None,
    source: str = "the download",
) -> str:
    """What is wrong with a file of the manifest, to follow its name in a sentence; empty if it is intact.

    `source` names what the hashes are of.
    """
    wanted = manifest.files[name]
    path = directory / name
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != wanted.size:
        return f"has {size} bytes instead of {wanted.size}"
    if identify(path, on_read).sha256 != wanted.sha256:
        return f"differs from {source}: its sha256 is wrong"
    return ""
