"""The recordings that a command line names: files, and those in folders."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from coldvoxd.audio.suffixes import SUFFIXES
from coldvoxd.cli.recordings import STANDARD_INPUT
from coldvoxd.core.errors import ColdvoxError, FileFault


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording to transcribe."""

    name: str
    """As the command line has it, or the path of a file in a folder of the command line."""
    inside: PurePath | None = None
    """For a file in a folder: its path in there."""
    fault: ColdvoxError | None = None
    """Why it cannot be transcribed."""

    @property
    def may_be_skipped(self) -> bool:
        """Whether this is no error if it turns out to be no recording."""
        return self.inside is not None and self.inside.suffix.lower() not in SUFFIXES


def listed(names: Sequence[str], *, recursive: bool) -> list[Listed]:
    """Return the recordings: files in the given order, and of a folder its files by name, without hidden ones."""
    found: list[Listed] = []
    for name in names:
        if name == STANDARD_INPUT or not os.path.isdir(name):  # noqa: PTH112 - a path would lose a leading ./
            found.append(Listed(name))
            continue
        try:
            files = list(_in_folder(name, recursive=recursive, above=PurePath()))
        except OSError as error:
            found.append(Listed(name, fault=FileFault(f"{name} cannot be read: {error.strerror or error}")))
            continue
        found += files or [Listed(name, fault=FileFault(_nothing_in(name, recursive=recursive)))]
    return found


def _in_folder(folder: str, *, recursive: bool, above: PurePath) -> Iterator[Listed]:
    """The files of a folder, and after them those of its folders. Links to folders are not followed. Raises OSError."""
    with os.scandir(folder) as scan:
        entries = sorted((entry for entry in scan if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in entries:
        if not entry.is_dir():
            yield Listed(os.path.join(folder, entry.name), above / entry.name)  # noqa: PTH118 - as PTH112 above
    for entry in entries if recursive else ():
        if entry.is_dir(follow_symlinks=False):
            path = os.path.join(folder, entry.name)  # noqa: PTH118
            yield from _in_folder(path, recursive=True, above=above / entry.name)


def _nothing_in(folder: str, *, recursive: bool) -> str:
    if not recursive and any(entry.is_dir() and not entry.name.startswith(".") for entry in Path(folder).iterdir()):
        return f"{folder} has no files, only folders: add --recursive"
    return f"{folder} has no files: give the name of a folder with recordings"
