"""Where model directories are looked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ModelMissing, ResourcesExhausted
from coldvoxd.core.shortage import shortage
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.catalog import fetch_hint
from coldvoxd.models.layout import model_files, precisions
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.base_directories import APPLICATION

BUNDLED = "mini"
"""The small model inside the package; used where it is asked for by this name, never in another's place."""
LONGEST_SHOWN = 200
"""Characters of a path in a message."""
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
    Raises ModelMissing, whose message has the command that fetches the model, ModelInvalid naming the file, also where
    it cannot be read, or ResourcesExhausted.
    """
    with _faults_explained(name_or_path):
        return _found(name_or_path, precision)


def _found(name_or_path: str, precision: Precision) -> ModelFiles:
    if "/" in name_or_path or name_or_path.startswith(("~", ".")):
        directory = _expanded(name_or_path).absolute()
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
    that nobody may write beside. Raises ModelInvalid where a directory cannot be read.
    """
    with _faults_explained("the models"):
        return _listed()


def _listed() -> tuple[InstalledModel, ...]:
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
    return base_directories.cache_home() / APPLICATION / "models"


def bundled_directory() -> Path:
    """Of the model `mini`, its manifest and its sample recordings."""
    return Path(str(files("coldvoxd") / "data" / BUNDLED))


@contextmanager
def _faults_explained(name: str) -> Iterator[None]:
    """What the file system raises, as ModelInvalid or ResourcesExhausted with the path."""
    try:
        yield
    except ColdvoxError:
        raise
    except OSError as error:
        if lack := shortage(error):
            raise ResourcesExhausted(lack) from error
        raise ModelInvalid(
            f"{shortened(str(error.filename or name))} cannot be read: {error.strerror or error}. Check `name` under [model], and the permissions of that path"
        ) from error


def shortened(path: str) -> str:
    """For a message: a path longer than any that makes sense is cut."""
    return path if len(path) <= LONGEST_SHOWN else f"{path[:LONGEST_SHOWN]}…"


def _expanded(path: str) -> Path:
    """With `~` and `~user` as that user's home. Raises ModelMissing where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = path.partition("/")[0]
        raise ModelMissing(
            f"there is no home directory {shortened(user)}, which `name` under [model] needs: check the path, or give a model's name"
        ) from error


def _roots() -> Iterator[Path]:
    yield cache_directory()
    yield base_directories.data_home() / APPLICATION / "models"
    for directory in base_directories.data_dirs():
        yield directory / APPLICATION / "models"


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
