"""Where model directories are looked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs

from coldvoxd.core.errors import ModelMissing
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.catalog import fetch_hint
from coldvoxd.models.layout import model_files, precisions

BUNDLED = "mini"
"""The small model inside the package; used where it is asked for by this name, never in another's place."""
APPLICATION = "coldvoxd"
_SUFFIX = "-onnx"  # directories copied whole are often named after the repository


@dataclass(frozen=True, slots=True)
class InstalledModel:
    name: str
    directory: Path
    precisions: tuple[Precision, ...]
    """Those whose graphs are there; empty where the directory holds no complete model."""


def find_model(name_or_path: str, precision: Precision) -> ModelFiles:
    """The files of a model, by name or by the path of its directory.

    Anything with a slash in it or a leading `~` or `.` is a path. A name is looked for in the cache, the user's data
    directory, the system's data directories and, for `mini`, the package; the first directory of that name which has the
    precision is it, and where none has, the first.
    Raises ModelMissing, whose message has the command that fetches the model, or ModelInvalid naming the file.
    """
    if "/" in name_or_path or name_or_path.startswith(("~", ".")):
        directory = Path(name_or_path).expanduser().absolute()
        if not directory.is_dir():
            raise ModelMissing(f"there is no model directory {directory}: check the path, or give a model's name")
        return model_files(directory.name, directory, precision)
    candidates = list(_candidates(name_or_path))
    there = [directory for directory in candidates if directory.is_dir()]
    if there:
        fitting = (directory for directory in there if precision in precisions(directory))
        return model_files(name_or_path, next(fitting, there[0]), precision)
    raise ModelMissing(
        f"there is no model {name_or_path!r}. Looked in\n"
        + "\n".join(f"  {directory}" for directory in candidates)
        + f"\n{fetch_hint(name_or_path, precision)}"
    )


def list_models() -> tuple[InstalledModel, ...]:
    """All directories in which `find_model` would find something by name, in its order, and those that hold nothing yet.

    A model is listed again for what only a further directory of its name holds, as where one precision was made of another
    that nobody may write beside.
    """
    found: list[InstalledModel] = []
    held: dict[str, set[Precision]] = {}
    for name, directory in _directories():
        there = precisions(directory)
        if name not in held or not held[name].issuperset(there):
            found.append(InstalledModel(name, directory, there))
        held.setdefault(name, set()).update(there)
    return tuple(found)


def cache_directory() -> Path:
    """Where fetched models go: `~/.cache/coldvoxd/models`."""
    return platformdirs.user_cache_path(APPLICATION) / "models"


def bundled_directory() -> Path:
    """Of the model `mini`, its manifest and its sample recordings."""
    return Path(str(files("coldvoxd") / "data" / BUNDLED))


def _roots() -> Iterator[Path]:
    yield cache_directory()
    yield platformdirs.user_data_path(APPLICATION) / "models"
    for directory in platformdirs.site_data_dir(APPLICATION, multipath=True).split(":"):
        yield Path(directory) / "models"


def _directories() -> Iterator[tuple[str, Path]]:
    """Every model's name and directory."""
    for root in _roots():
        if root.is_dir():
            for directory in sorted(entry for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."):
                yield directory.name.removesuffix(_SUFFIX), directory
    yield BUNDLED, bundled_directory()


def _candidates(name: str) -> Iterator[Path]:
    for root in _roots():
        yield root / name
        yield root / f"{name}{_SUFFIX}"
    if name == BUNDLED:
        yield bundled_directory()
