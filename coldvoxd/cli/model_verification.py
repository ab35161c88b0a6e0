"""The command model verify."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import Precision

if TYPE_CHECKING:
    from coldvoxd.models.directories import InstalledModel


def verify(found: "InstalledModel", output: Output) -> Exit:
    """Check the files of a model against each other, and against their hashes.

    A model without known hashes is opened as for recognition, before its hashes are recorded. Raises ModelInvalid for a
    broken record, and ColdvoxError if it cannot be opened for another reason, such as too little memory.
    """
    from coldvoxd.models.known_hashes import known_hashes
    from coldvoxd.models.manifest import damage

    problems, remedy = _structural(found)
    known = known_hashes(found.directory)
    if not known and not problems:
        problems, remedy = _unopenable(found, output)
    checked = []
    for name in known.files if known else ():
        output.note(f"reading {name}")
        assert known is not None  # noqa: S101 - there were names in it
        checked.append(name)
        if wrong := damage(found.directory, known, name, source=_source(found.directory)):
            problems.append(f"{found.directory / name} {wrong}")
    recorded = not known and not problems and _record(found, output)
    fields = {
        "name": found.name,
        "path": str(found.directory),
        "precisions": [str(precision) for precision in found.precisions],
        "checked": checked,
        "hashes_known": known is not None,
        "problems": problems,
    }
    output.result(fields, _verdict(found, problems, remedy, len(checked), recorded=recorded))
    return Exit.FAILED if problems else Exit.DONE


def _structural(found: "InstalledModel") -> tuple[list[str], str]:
    """Return what is wrong with the files, and the remedy if the errors name one."""
    from coldvoxd.models.layout import model_files

    def check(precision: Precision) -> None:
        model_files(found.name, found.directory, precision)

    return _faults(found.precisions or (Precision.FP32,), check)


def _unopenable(found: "InstalledModel", output: Output) -> tuple[list[str], str]:
    """Return why the model cannot be opened for recognition, and the remedy if the errors name one."""
    from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
    from coldvoxd.models.layout import model_files

    def check(precision: Precision) -> None:
        output.note(f"opening {precision}")
        ParakeetRecognizer.open(model_files(found.name, found.directory, precision), packed=False).close()

    return _faults(found.precisions, check)


def _faults(precisions: Iterable[Precision], check: Callable[[Precision], None]) -> tuple[list[str], str]:
    problems: dict[str, None] = {}
    remedy = ""
    for precision in precisions:
        try:
            check(precision)
        except ModelInvalid as error:
            problems[error.fault] = None
            remedy = remedy or error.remedy
    return list(problems), remedy


def _record(found: "InstalledModel", output: Output) -> bool:
    """Record the hashes of a model that was copied here by hand; return whether they could be stored."""
    from coldvoxd.models.known_hashes import record_placed
    from coldvoxd.models.manifest import FileIdentity, identify

    identities: dict[str, FileIdentity] = {}
    if not (own := _own_files(found)):
        return False
    for path in own:
        output.note(f"reading {path.name}")
        identities[path.name] = identify(path)
    try:
        record_placed(found.directory, identities, identities)
    except OSError as fault:
        output.note(f"The hashes cannot be recorded: {fault}")
        return False
    return True


def _own_files(found: "InstalledModel") -> list[Path]:
    """The files of the model, apart from what was made of them here."""
    from coldvoxd.models.layout import model_files
    from coldvoxd.models.precision_store import companions, files_of, read_provenance

    paths: dict[Path, None] = {}
    for precision in found.precisions:
        if read_provenance(found.directory, precision) is None:
            files = model_files(found.name, found.directory, precision)
            paths |= dict.fromkeys((*companions(files).values(), *files_of(files)))
    return list(paths)


def _source(directory: Path) -> str:
    """What the hashes are of: the end of a sentence about a file that differs."""
    from coldvoxd.models.directories import bundled_directory
    from coldvoxd.models.known_hashes import record_of_placed
    from coldvoxd.models.manifest import FILE

    if (directory / FILE).exists():
        return "the download"
    if directory == bundled_directory():
        return "the installed package"
    return f"what was recorded of it (if you replaced it, remove {record_of_placed(directory)})"


def _verdict(found: "InstalledModel", problems: list[str], remedy: str, checked: int, *, recorded: bool) -> str:
    if problems:
        return "\n".join([f"{found.name} cannot be used:", *problems, remedy or _remedy(found)])
    if not checked:
        known = "recorded now, and are compared from the next check on" if recorded else "unknown"
        if not _own_files(found):
            return f"{found.name}: the files belong together. They were converted on this machine and have no known hashes."
        return f"{found.name}: the files belong together. They were copied here by hand; their hashes are {known}."
    return f"{found.name}: all {checked} files match {_source(found.directory).partition(' (')[0]}."


def _remedy(found: "InstalledModel") -> str:
    from coldvoxd.models.catalog import published
    from coldvoxd.models.directories import bundled_directory

    if found.directory == bundled_directory():
        return "It is part of coldvoxd: install coldvoxd again."
    if published(found.name) is None:
        return "Copy its files here again."
    return f"`coldvoxctl model pull {found.name}` repairs downloaded files; copy other files here again."
