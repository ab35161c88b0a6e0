"""Files with transcripts: their names, and writing them whole or not at all."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from coldvoxd.cli.exit_codes import OutputFault, UsageFault
from coldvoxd.cli.folders import Listed
from coldvoxd.cli.recordings import STANDARD_INPUT
from coldvoxd.core.errors import ColdvoxError

STANDARD_OUTPUT = "-"
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}
"""The suffix of a transcript's file by its format."""
_INPUT_NAME = "standard-input"


class OutputExists(ColdvoxError):
    """A file with this name exists, and --force was not given."""


def format_of(form: str | None, output: str | None, *, as_json: bool) -> str:
    """Return the format: as chosen, or by the suffix of `--output`; otherwise text. Raises UsageFault."""
    if as_json and form not in {None, "json"}:
        raise UsageFault(f"--json and --format {form} exclude each other: choose one.")
    if form is None and not as_json and output is not None:
        form = next((name for name, suffix in SUFFIXES.items() if Path(output).suffix.lower() == suffix), None)
    return "json" if as_json else form or "text"


def targets(recordings: Sequence[Listed], output: str | None, form: str) -> list[Path | None]:
    """Return the file for each recording's transcript; None for standard output. Raises UsageFault."""
    is_folder = output is not None and (output.endswith("/") or Path(output).is_dir())
    if output is None or output == STANDARD_OUTPUT:
        if form in {"srt", "vtt"} and _are_several(recordings):
            raise UsageFault(
                f"Several recordings make several {form} files: name a folder for them, as in --output texts/."
            )
        return [None] * len(recordings)
    if is_folder:
        return list(_in_folder(recordings, Path(output), SUFFIXES[form]))
    if _are_several(recordings):
        raise UsageFault(
            f"{output} is not a folder, and there are several recordings: name a folder, as in --output texts/."
        )
    return [Path(output)] * len(recordings)


def check(target: Path, *, force: bool) -> None:
    """Raise OutputExists, or OutputFault, if a transcript could not be written to this file."""
    if target.is_dir():
        raise OutputFault(f"{target} is a folder: name a file.")
    if target.exists() and not target.is_file():
        raise OutputFault(f"{target} is not a regular file: use a pipe or `>` instead of --output.")
    if os.path.lexists(target) and not force:
        raise _exists(target)


def write(target: Path, content: str, *, force: bool) -> None:
    """Write a file as a whole, creating its folder: its name appears when its content is complete.

    Raises OutputExists, or OutputFault.
    """
    check(target, force=force)
    final = target.resolve() if force else target
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".coldvoxctl-", dir=final.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode(errors="surrogateescape"))
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                file.flush()
                os.fsync(file.fileno())
            if force:
                Path(name).replace(final)
            else:
                _give_name(name, final)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputFault(f"{target} cannot be written: {error.strerror or error}.") from error


def _give_name(temporary: str, final: Path) -> None:
    """Raises OutputExists if the name is taken, or OSError."""
    try:
        os.link(temporary, final)
    except FileExistsError as error:
        raise _exists(final) from error
    except OSError:  # a file system without hard links
        if os.path.lexists(final):
            raise _exists(final) from None
        Path(temporary).rename(final)


def _exists(target: Path) -> OutputExists:
    return OutputExists(f"{target} exists: choose another name, or add --force to replace it.")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _are_several(recordings: Sequence[Listed]) -> bool:
    return len(recordings) > 1 or any(recording.inside is not None for recording in recordings)


def _in_folder(recordings: Sequence[Listed], folder: Path, suffix: str) -> "list[Path | None]":
    """`talk.mp4` becomes `talk.srt`, or `talk.mp4.srt` if there is also a `talk.mp3`. Raises UsageFault."""
    places = [recording.inside or Path(_file_name(recording.name)) for recording in recordings]
    short = [place.with_suffix(suffix) if place.suffix else place.with_name(place.name + suffix) for place in places]
    chosen = [
        one if short.count(one) == 1 else place.with_name(place.name + suffix)
        for place, one in zip(places, short, strict=True)
    ]
    for recording, one in zip(recordings, chosen, strict=True):
        if chosen.count(one) > 1:
            raise UsageFault(
                f"Several recordings would be written to {folder / one}, {recording.name} among them: transcribe them apart."
            )
    return [folder / one for one in chosen]


def _file_name(name: str) -> str:
    return _INPUT_NAME if name == STANDARD_INPUT else Path(name).name or _INPUT_NAME
