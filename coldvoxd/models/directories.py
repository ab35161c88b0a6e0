"""Finds model directories, by name or by path."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ModelMissing, ResourcesExhausted, SettingsError
from coldvoxd.core.languages import ENGLISH
from coldvoxd.core.shortage import shortage
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.catalog import fetch_hint, published
from coldvoxd.models.layout import model_files, precisions
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.base_directories import APPLICATION

BUNDLED = "mini"
"""The small model inside the package; used only if it is named, never in place of another."""
LONGEST_SHOWN = 200
"""Maximum number of characters of a path in a message."""
_SUFFIX = "-onnx"  # directories copied whole are often named after the repository


@dataclass(frozen=True, slots=True)
class InstalledModel:
    name: str
    directory: Path
    precisions: tuple[Precision, ...]
    """The precisions whose graphs exist; empty if the directory has no complete model."""


def find_model(name_or_path: str, precision: Precision) -> ModelFiles:
    """The files of a model, by name or by the path of its directory.

    A text with a slash or a leading `~` or `.` is a path. A name is searched in the cache, the user's data directory, the
    system's data directories and, for `mini`, the package; the first directory of that name that has the precision is used,
    or the first if none has. Raises ModelMissing, whose message has the command that downloads the model, ModelInvalid,
    which names the missing, damaged or unreadable file, or ResourcesExhausted.
    """
    with _faults_explained(name_or_path):
        return _found(name_or_path, precision)


def _found(name_or_path: str, precision: Precision) -> ModelFiles:
    if "/" in name_or_path or name_or_path.startswith(("~", ".")):
        directory = _expanded(name_or_path).absolute()
        if not directory.is_dir():
            raise ModelMissing(f"There is no model directory {directory}: check the path, or give a model's name.")
        return _with_languages(model_files(directory.name, directory, precision))
    there = [directory for directory in _candidates(name_or_path) if directory.is_dir()]
    if there:
        fitting = (directory for directory in there if precision in precisions(directory))
        return _with_languages(model_files(name_or_path, next(fitting, there[0]), precision))
    raise ModelMissing(f"There is no model {shortened(name_or_path)!r}", fetch_hint(name_or_path, precision))


def _with_languages(model: ModelFiles) -> ModelFiles:
    """Return the files with the languages of the model of this name, if it is a known one."""
    if model.name == BUNDLED:
        return replace(model, languages=ENGLISH)
    try:
        known = published(model.name.removesuffix(_SUFFIX))
    except SettingsError:  # reported where the list is needed
        known = None
    return replace(model, languages=known.languages if known is not None else None)


def list_models() -> tuple[InstalledModel, ...]:
    """All directories that `find_model` finds by name, in its order, and those without a complete model.

    A model is listed again if a further directory of its name has another precision, as when one was converted from files
    whose directory is read-only. Raises ModelInvalid if a directory cannot be read.
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
    """The directory of downloaded models, `~/.cache/coldvoxd/models`."""
    return base_directories.cache_home() / APPLICATION / "models"


def bundled_directory() -> Path:
    """The directory of the model `mini`, with its manifest and sample recordings."""
    return Path(str(files("coldvoxd") / "data" / BUNDLED))


@contextmanager
def _faults_explained(name: str) -> Iterator[None]:
    """Raise errors of the file system as ModelInvalid or ResourcesExhausted, with the path."""
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
    """A path for a message, truncated if it is excessively long."""
    return path if len(path) <= LONGEST_SHOWN else f"{path[:LONGEST_SHOWN]}…"


def _expanded(path: str) -> Path:
    """Replace `~` and `~user` by the home directory. Raises ModelMissing if there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        user = path.partition("/")[0]
        raise ModelMissing(
            f"There is no home directory {shortened(user)}, which `name` under [model] needs: check the path, or give a model's name."
        ) from error


def roots() -> Iterator[Path]:
    """The directories in which models are searched for by name, in order of precedence."""
    yield cache_directory()
    yield base_directories.data_home() / APPLICATION / "models"
    for directory in base_directories.data_dirs():
        yield directory / APPLICATION / "models"


def _directories() -> Iterator[tuple[str, Path]]:
    """Name and directory of each model."""
    for root in roots():
        if root.is_dir():
            for directory in sorted(entry for entry in root.iterdir() if entry.is_dir() and entry.name[0] != "."):
                yield directory.name.removesuffix(_SUFFIX), directory
    yield BUNDLED, bundled_directory()


def _candidates(name: str) -> Iterator[Path]:
    for root in roots():
        yield root / name
        yield root / f"{name}{_SUFFIX}"
    if name == BUNDLED:
        yield bundled_directory()
