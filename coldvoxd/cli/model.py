"""The commands model pull, prepare, list, path, verify and remove."""

import glob
import os
import shlex
import shutil
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.cli.download_meter import JsonMeter, Meter, told
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.cli.prepare import prepare_model, prepared_of, record_golden
from coldvoxd.core.errors import FetchFault, ModelInvalid, ModelMissing
from coldvoxd.core.sizes import size_text

if TYPE_CHECKING:
    from coldvoxd.core.settings import ModelSettings
    from coldvoxd.core.values import Precision
    from coldvoxd.models.directories import InstalledModel


def model(arguments: Namespace, output: Output) -> Exit:
    """Run one of these commands. Raises ColdvoxError."""
    if getattr(arguments, "name", None) == "":
        raise UsageFault("A model's name cannot be empty.")
    match arguments.action:
        case "pull":
            return _pull(arguments, output)
        case "prepare":
            return prepare_model(arguments, output)
        case "list":
            return _list(output)
        case "path":
            return _path(arguments, output)
        case "verify":
            from coldvoxd.cli.model_verification import verify

            return verify(_find(arguments), output)
        case "remove":
            return _remove(arguments, output)
        case _:
            raise UsageFault(
                "Name an action: pull, prepare, list, path, verify or remove. See `coldvoxctl model --help`."
            )


def _settings() -> "ModelSettings":
    from coldvoxd import settings_file

    return settings_file.load().model


def _pull(arguments: Namespace, output: Output) -> Exit:
    from coldvoxd.core.values import Precision
    from coldvoxd.models.catalog import published
    from coldvoxd.models.fetch import TRIES, Fetch, FetchProgress, FetchState
    from coldvoxd.models.progress import ProgressWriter

    chosen = _settings()
    name = arguments.name or chosen.name
    # The precision in the settings does not apply to a model that is named here.
    known = published(name)
    usual = known.usual_precision if known is not None else Precision.FP32
    precision = Precision.on_cpu(arguments.precision or (chosen.precision if name == chosen.name else usual))
    meter = JsonMeter(output) if output.as_json else Meter()
    tell: list[Callable[[FetchProgress], None]] = [meter]
    if arguments.progress_file:
        write = ProgressWriter(Path(arguments.progress_file))
        tell.append(lambda progress: write(told(progress)))
    last = FetchProgress(name, precision)

    def report(progress: FetchProgress) -> None:
        nonlocal last
        last = progress
        for each in tell:
            each(progress)

    try:
        fetched = Fetch(name, precision, report, arguments.tries or TRIES).run()
    except FetchFault as fault:
        from dataclasses import replace

        report(replace(last, state=FetchState.FAILED, message=str(fault)))
        raise
    finally:
        meter.clear()
    record_golden(name, precision, output)
    wanted = _wanted_settings(chosen, name, precision)
    directory = str(fetched.directory)
    output.result(
        {
            "event": "done",
            "model": name,
            "precision": str(precision),
            "path": directory,
            "fetched_bytes": fetched.fetched_bytes,
        },
        f"{name} ({precision}) is in {directory}" + ("" if fetched.fetched_bytes else "; it was already there"),
    )
    if wanted and arguments.use:
        from coldvoxd.cli.config import named
        from coldvoxd.cli.config_set import report_written, write_settings

        report_written(write_settings({named(key): value for key, value in wanted.items()}), output)
    elif wanted:
        commands = " and ".join(f"`coldvoxctl config set {key} {value}`" for key, value in wanted.items())
        output.warning(f"The settings name another model or precision. To use this one: {commands}.")
    chosen_model = "" if name == chosen.name or arguments.use else f" --model {shlex.quote(name)}"
    output.note(f"`coldvoxctl doctor --first-run{chosen_model}` measures it on this machine, in ten minutes.")
    return Exit.DONE


def _wanted_settings(chosen: "ModelSettings", name: str, precision: "Precision") -> dict[str, str]:
    """The settings that must change before the daemon uses a downloaded model, by key."""
    wanted = {} if name == chosen.name else {"model.name": name}
    if (precision == "int8") is not (chosen.precision == "int8"):
        wanted["model.precision"] = "int8" if precision == "int8" else "auto"
    return wanted


def _list(output: Output) -> Exit:
    from coldvoxd.models import list_models
    from coldvoxd.models.catalog import known_models
    from coldvoxd.models.published_models import pull_command

    settings = _settings()
    chosen = settings.name
    installed = _with_path(list_models(), chosen)
    prepared_bytes, before = 0, set()
    for found in installed:
        size, place = _bytes(found.directory), _place(found)
        prepared = [] if found.name in before else prepared_of(found.name)
        before.add(found.name)
        prepared_bytes += sum(form.bytes for form in prepared)
        precisions = [str(precision) for precision in found.precisions]
        fields = {
            "name": found.name,
            "path": str(found.directory),
            "precisions": precisions,
            "bytes": size,
            "location": place,
            "selected": _is_chosen(found, chosen),
            "prepared": [asdict(form) for form in prepared],
        }
        holds = ", ".join(precisions) or "incomplete"
        mark = "*" if _is_chosen(found, chosen) else " "
        output.result(fields, f"{mark} {found.name:<28} {holds:<12} {size_text(size):>9}  {place:<8} {found.directory}")
        for form in prepared:
            note = "" if form.up_to_date else ", outdated: removed by the next `coldvoxctl model prepare`"
            output.note(f"  prepared in {form.precision} for {form.provider}: {size_text(form.bytes)}{note}")
    missing = {name: model for name, model in known_models().items() if name not in {one.name for one in installed}}
    for name, model in sorted(missing.items()):
        fields = {
            "name": name,
            "path": None,
            "precisions": [],
            "bytes": 0,
            "location": None,
            "selected": name == chosen,
            "prepared": [],
        }
        mark = "*" if name == chosen else " "
        output.result(fields, f"{mark} {name:<28} not here: {pull_command(name, model.usual_precision)}")
    output.note(f"Prepared forms use {size_text(prepared_bytes)} of at most {settings.prepared_gb:g} GB.")
    return Exit.DONE


def _path(arguments: Namespace, output: Output) -> Exit:
    found = _find(arguments)
    output.result({"name": found.name, "path": str(found.directory)}, str(found.directory))
    return Exit.DONE


def _remove(arguments: Namespace, output: Output) -> Exit:
    from coldvoxd.models.directories import BUNDLED, cache_directory
    from coldvoxd.models.lock import alone
    from coldvoxd.models.prepared_store import remove_unfit

    name, cache = arguments.name, cache_directory()
    if name == BUNDLED and not (cache / BUNDLED).exists():
        raise UsageFault("`mini` is part of coldvoxd and cannot be removed.")
    if not name or "/" in name or name.startswith("."):
        raise UsageFault(f"{name!r} is not a model's name; delete a directory that you copied there yourself.")
    directories = [directory for directory in (cache / name, cache / f"{name}-onnx") if directory.is_dir()][:1]
    directories += cache.glob(f".{glob.escape(name)}-*.partial")
    if not directories:
        found = _find(arguments)  # or ModelMissing
        raise UsageFault(f"{found.name} is in {found.directory}, which coldvoxctl did not create: delete it yourself.")
    size = sum(_bytes(directory) for directory in directories)

    def refuse() -> None:
        raise FetchFault(
            f"{name} is being downloaded: stop that first (`systemctl --user stop coldvoxd-model`, or Ctrl-C)."
        )

    with alone(cache, name, refuse):
        for directory in directories:
            if directory.is_symlink():
                directory.unlink()
                continue
            hidden = cache / f".{name}-{time.monotonic_ns()}.removed"  # becomes invisible at once
            directory.rename(hidden)
            shutil.rmtree(hidden)
    remove_unfit()
    output.result({"removed": name, "bytes": size}, f"removed {name}, {size_text(size)}")
    return Exit.DONE


def _find(arguments: Namespace) -> "InstalledModel":
    """The model of that name, even if its files do not belong together. Raises ModelMissing."""
    from coldvoxd.core.values import Precision
    from coldvoxd.models import find_model, list_models
    from coldvoxd.models.directories import InstalledModel
    from coldvoxd.models.layout import precisions

    name = arguments.name or _settings().name
    of_that_name = [installed for installed in list_models() if installed.name == name]
    if of_that_name:  # prefer the downloaded precision to a converted one
        return next((found for found in of_that_name if Precision.FP32 in found.precisions), of_that_name[0])
    try:
        directory = find_model(name, Precision.FP32).directory
    except ModelMissing:
        raise
    except ModelInvalid:  # the model at that path; `verify` reports its problems
        directory = Path(name).expanduser().absolute()
    return InstalledModel(name, directory, precisions(directory))


def _with_path(installed: "Sequence[InstalledModel]", chosen: str) -> "Sequence[InstalledModel]":
    """Add the model in use if the settings name its directory, and that is not among those that have a name."""
    from coldvoxd.models.directories import InstalledModel
    from coldvoxd.models.layout import precisions

    directory = _as_directory(chosen)
    if directory is None or not directory.is_dir() or any(found.directory == directory for found in installed):
        return installed
    return (*installed, InstalledModel(chosen, directory, precisions(directory)))


def _is_chosen(found: "InstalledModel", chosen: str) -> bool:
    return found.name == chosen or found.directory == _as_directory(chosen)


def _as_directory(chosen: str) -> Path | None:
    """Return the directory that the setting `name` gives as a path; None for a name."""
    if "/" not in chosen and not chosen.startswith(("~", ".")):
        return None
    return Path(os.path.expanduser(chosen)).absolute()  # noqa: PTH111 - an unknown user is no error here


def _place(found: "InstalledModel") -> str:
    from coldvoxd.models.directories import bundled_directory, cache_directory
    from coldvoxd.userdirs.base_directories import APPLICATION, data_home

    if found.directory == bundled_directory():
        return "bundled"
    if found.directory.is_relative_to(cache_directory()):
        return "cache"
    return "data" if found.directory.is_relative_to(data_home() / APPLICATION) else "system"


def _bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in _files(directory))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file())
