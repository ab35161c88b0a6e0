"""Files with transcripts: their names, and writing them whole or not at all."""

import errno
import os
import stat
import tempfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from coldvoxd.audio.suffixes import SUFFIXES as RECORDINGS
from coldvoxd.cli.exit_codes import OutputFault, UsageFault
from coldvoxd.cli.folders import Listed
from coldvoxd.cli.recordings import STANDARD_INPUT
from coldvoxd.core.errors import ColdvoxError

STANDARD_OUTPUT = "-"
SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}
"""The suffix of a transcript's file by its format."""
_KNOWN = "{} or {}".format(", ".join([*SUFFIXES.values()][:-1]), [*SUFFIXES.values()][-1])
_INPUT_NAME = "standard-input"
_MOST_BYTES = 255
"""Maximum size of a file's name on Linux, NAME_MAX."""


class OutputExists(ColdvoxError):
    """A file with this name exists, and --force was not given."""


class NameTooLong(ColdvoxError):
    """The file system cannot have a file of this name."""


def format_of(form: str | None, output: str | None, *, as_json: bool) -> str:
    """Return the format: as chosen, or by the suffix of a file that `--output` names; otherwise text. Raises UsageFault."""
    if as_json and form not in {None, "json"}:
        raise UsageFault(f"--json and --format {form} exclude each other: choose one.")
    if output is not None and output != STANDARD_OUTPUT and not is_folder(output):
        suffix = Path(output).suffix.lower()
        check_suffix(Path(output))
        if form is None and not as_json and suffix:
            form = next((name for name, known in SUFFIXES.items() if suffix == known), None)
            if form is None:
                raise UsageFault(f"--output {output}: its suffix must be {_KNOWN}, or name a --format.")
    return "json" if as_json else form or "text"


def check_suffix(output: Path) -> None:
    """Raise UsageFault for a file that would look like a recording, and may be one."""
    if (suffix := output.suffix.lower()) in RECORDINGS:
        raise UsageFault(f"--output {output}: a text cannot have {suffix}, the suffix of a recording.")


def is_folder(output: str) -> bool:
    """Return whether `--output` names a folder, which need not exist if its name ends with a slash."""
    return output.endswith("/") or os.path.isdir(output)  # noqa: PTH112 - a path raises OSError for a long name


def identities(names: Iterable[str]) -> frozenset[tuple[int, int]]:
    """Return device and inode of each input that is there, `-` for standard input, for `check`."""
    found = set()
    for name in names:
        try:
            state = os.fstat(0) if name == STANDARD_INPUT else os.stat(name)  # noqa: PTH116
        except (OSError, ValueError):  # it is reported when the input is opened
            continue
        found.add((state.st_dev, state.st_ino))
    return frozenset(found)


def protected(recordings: Iterable[Listed]) -> frozenset[tuple[int, int]]:
    """Return the recordings, which no transcript may replace, for `check`; without the transcripts beside them in a folder."""
    return identities(recording.name for recording in recordings if not _is_text_in_folder(recording))


def targets(recordings: Sequence[Listed], output: str | None, form: str) -> list[Path | None]:
    """Return the file for each recording's transcript; None for standard output. Raises UsageFault."""
    if output is None or output == STANDARD_OUTPUT:
        if form in {"srt", "vtt"} and _are_several(recordings):
            raise UsageFault(
                f"Several recordings make several {form} files: name a folder for them, as in --output texts/."
            )
        return [None] * len(recordings)
    if is_folder(output):
        return list(_in_folder(recordings, Path(output), SUFFIXES[form]))
    if _are_several(recordings):
        raise UsageFault(
            f"{output} names one file, and there are several recordings: name a folder, as in --output texts/."
        )
    return [Path(output)] * len(recordings)


def check(target: Path, *, force: bool, inputs: Collection[tuple[int, int]] = ()) -> None:
    """Raise OutputExists, NameTooLong or OutputFault if a text could not be written to this file.

    `inputs` are the files that are read, by device and inode: they are not replaced, `force` or not.
    """
    if len(os.fsencode(target.name)) > _MOST_BYTES:
        raise _too_long(target)
    try:
        target.lstat()
        state = target.stat() if target.exists() else None  # None for a link to nothing
    except FileNotFoundError:
        return
    except OSError as error:
        raise _fault(target, error) from error
    if state is not None:
        if stat.S_ISDIR(state.st_mode):
            raise OutputFault(f"{target} is a folder: name a file.")
        if not stat.S_ISREG(state.st_mode):
            raise OutputFault(f"{target} is not a regular file: use a pipe or `>` instead of --output.")
        if (state.st_dev, state.st_ino) in inputs:
            raise OutputFault(f"{target} is a file that is read: choose another name for the output.")
    if not force:
        raise _exists(target)


def write(target: Path, content: str, *, force: bool) -> None:
    """Write a file as a whole, creating its folder: its name appears when its content is complete.

    Raises OutputExists, NameTooLong or OutputFault.
    """
    check(target, force=force)
    final = target.resolve() if force else target
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".coldvoxctl-", dir=final.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encoded(content))
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
        raise _fault(target, error) from error


def encoded(content: str) -> bytes:
    """Return the text in UTF-8: undecodable bytes of file names unchanged, other surrogates as escapes."""
    try:
        return content.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return content.encode(errors="backslashreplace")


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


def _too_long(target: Path) -> NameTooLong:
    return NameTooLong(f"The name {target} is too long for a file: name one with --output FILE.")


def _fault(target: Path, error: OSError) -> ColdvoxError:
    if error.errno == errno.ENAMETOOLONG:
        return _too_long(target)
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return OutputFault(f"{target} cannot be written: {target.parent} is not a folder.")
    return OutputFault(f"{target} cannot be written: {error.strerror or error}.")


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _are_several(recordings: Sequence[Listed]) -> bool:
    return len(recordings) > 1 or any(recording.inside is not None for recording in recordings)


def _is_text_in_folder(recording: Listed) -> bool:
    return recording.inside is not None and recording.inside.suffix.lower() in SUFFIXES.values()


def _in_folder(recordings: Sequence[Listed], folder: Path, suffix: str) -> "list[Path | None]":
    """`talk.mp4` becomes `talk.srt`, or `talk.mp4.srt` if there is also a `talk.mp3`. Raises UsageFault.

    A text beside `talk.mp4` changes nothing, so that the names stay the same if it is a transcript of the same command.
    """
    places = [recording.inside or Path(_file_name(recording.name)) for recording in recordings]
    short = [
        place.with_suffix(suffix)
        if place.suffix and not _is_text_in_folder(recording)
        else place.with_name(place.name + suffix)
        for recording, place in zip(recordings, places, strict=True)
    ]
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
