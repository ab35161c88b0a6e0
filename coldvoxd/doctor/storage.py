"""Checks the settings file, the model and the free disk space."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ModelMissing, ModelUnusable, SettingsError
from coldvoxd.core.fallback import Fallback
from coldvoxd.core.languages import AUTO, unsupported
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn
from coldvoxd.models.directories import BUNDLED, cache_directory, find_model, roots
from coldvoxd.userdirs import base_directories

MODEL_BYTES = 3_000_000_000
"""The size of the largest published model, with a margin."""
LEAST_BYTES = 200_000_000


def _sources(path: Path) -> str:
    """Where the settings come from, for people."""
    variables = [doc.variable for doc in settings_file.describe() if doc.variable in os.environ]
    file = str(path) if settings_file.exists(path) else f"defaults; there is no {path}"
    return "; ".join((file, f"overridden by {', '.join(variables)}")) if variables else file


def check() -> Iterator[Finding | Doing]:
    """Check the settings first, because they name the model."""
    yield from directories(os.environ)
    path = settings_file.default_path()
    try:
        settings = settings_file.load()
        model = settings.model
        yield ok("settings", _sources(path))
    except SettingsError as error:
        yield fail("settings", str(error), "fix that line; `coldvoxctl config example` shows every setting")
        # Not the default model: it is not what the user chose, and its download is large.
        yield warn("model", "not checked, because the settings, which name it, are invalid", "fix the settings first")
        yield from space(cache_directory(), model_there=True)
        return
    yield Doing("model", "looking for the model", "is a network file system in the way?")
    there = False
    try:
        files = find_model(model.name, Precision.on_cpu(model.precision))
        there = True
        size = sum(file.stat().st_size for file in files.directory.iterdir() if file.is_file())
        told = f"{files.name}, {files.precision}, complete; {size_text(size)} in {files.directory}"
        if files.name == BUNDLED:
            yield warn(
                "model", told, "`mini` recognizes few words and is for testing: name another model under [model]"
            )
        else:
            yield ok("model", told)
        yield from _language(settings.dictation.language, files)
    except (ModelMissing, ModelInvalid) as error:
        yield fail(
            "model", f"{error.fault}{_searched(error)}", error.remedy or "download it again: coldvoxctl model pull"
        )
    yield from _fallback(model.fallback, model.fallback_model)
    yield from space(cache_directory(), model_there=there)


def _fallback(name: str, path: str) -> Iterator[Finding | Doing]:
    """Whether the fallback engine in the settings can be used, if one is set."""
    if name == Fallback.OFF:
        return
    from coldvoxd.engines.fallback_engines import find_engine, model_path

    yield Doing("fallback", f"checking the fallback engine {name}", 'set `fallback = "off"` under [model]')
    try:
        place = model_path(path)
        find_engine(name).check(place)
    except ColdvoxError as error:
        fault = error.fault if isinstance(error, ModelUnusable) else str(error)
        remedy = error.remedy if isinstance(error, ModelUnusable) else ""
        yield fail("fallback", fault, remedy or 'fix that, or set `fallback = "off"` under [model]')
    else:
        yield ok("fallback", f"{name} with {place}, used while the model cannot be loaded")


def _language(code: str, files: ModelFiles) -> Iterator[Finding]:
    """Whether the model recognizes the language in the settings, if one is set. Raises ModelInvalid."""
    if code == AUTO:
        return
    from coldvoxd.engines.parakeet.steering import Languages
    from coldvoxd.engines.parakeet.vocabulary import Vocabulary

    codes = Languages(Vocabulary.read(files.vocabulary), files.languages).codes
    if code in codes:
        yield ok("language", f"{code}, which {files.name} recognizes")
    else:
        told = unsupported(code, files.name, codes)
        yield warn("language", f"ignored: {told}", "coldvoxctl config set dictation.language auto")


def directories(environment: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong with the variables that name the user's directories."""
    for name, paths in base_directories.ignored(environment).items():
        listed = " and ".join(f"`{path}`" for path in paths)
        whole = environment[name] == paths[0]
        if whole:
            what = f"{name} is ignored, because {listed} is not absolute"
        else:
            what = f"in {name}, the relative path{'s' if len(paths) > 1 else ''} {listed} {'are' if len(paths) > 1 else 'is'} ignored"
        yield warn("settings", what, f"write absolute paths into {name}")
    home = Path(environment.get("HOME", ""))
    if not home.is_absolute():
        return
    try:
        owner = home.stat().st_uid
    except OSError as error:
        yield warn(
            "settings", f"HOME is {home}, which cannot be used: {error.strerror}", "set HOME to your home directory"
        )
        return
    if owner != os.geteuid():
        yield warn("settings", f"HOME is {home}, which belongs to another user", "set HOME to your home directory")


def _searched(error: ModelMissing | ModelInvalid) -> str:
    if not isinstance(error, ModelMissing) or not error.remedy:
        return ""
    return f" in {', '.join(map(str, roots()))}"


def space(directory: Path, *, model_there: bool) -> Iterator[Finding]:
    """Whether the file system of a directory, which need not exist yet, has enough space."""
    existing = next(place for place in (directory, *directory.parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    told = f"{size_text(free)} free at {existing}"
    if not model_there and free < MODEL_BYTES:
        yield warn("disk", f"{told}: a model takes up to {MODEL_BYTES / 1e9:.0f} GB", "make room there")
    elif free < LEAST_BYTES:
        yield warn("disk", told, "make room there")
    else:
        yield ok("disk", told)
