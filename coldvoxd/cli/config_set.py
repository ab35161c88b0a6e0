"""The command config set: writes a setting into the settings file, and makes the daemon use it."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.cli.provider_check import provider_fault
from coldvoxd.cli.settings_edit import NotEditable, with_value
from coldvoxd.core.errors import BusUnavailable, ColdvoxError, DaemonUnreachable, SettingsError
from coldvoxd.core.sentences import sentences
from coldvoxd.settings_file import SettingDoc
from coldvoxd.userdirs.text_files import read_text, why_unread


def write_settings(values: Mapping[SettingDoc, str]) -> dict[str, object]:
    """Write settings, given as text, into the settings file, and return their values by key.

    The file's comments, order and permissions are kept; a link to it stays a link. It is replaced only if the result
    can be used. Raises UsageFault for a value that the setting cannot have, and SettingsError.
    """
    path = settings_file.default_path()
    target = Path(os.path.realpath(path))
    text, mode = _content(path, target)
    try:
        checked = {doc: _checked(doc, given, path) for doc, given in values.items()}
    except SettingsError as error:
        raise UsageFault(str(error)) from error
    for doc, value in checked.items():
        try:
            text = with_value(text, doc.section, doc.key, settings_file.toml_value(value))
        except NotEditable as error:
            raise SettingsError(
                f"{path} has a form that cannot be changed automatically: set `{doc.key}` under [{doc.section}] in an editor."
            ) from error
    try:
        _replace(path, target, text, mode)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror or error}.") from error
    return {f"{doc.section}.{doc.key}": value for doc, value in checked.items()}


def _checked(doc: SettingDoc, given: str, path: Path) -> object:
    value = settings_file.checked(doc, given, str(path))
    if (doc.section, doc.key) == ("model", "provider") and (fault := provider_fault(str(value))):
        raise SettingsError(fault)
    return value


def report_written(written: Mapping[str, object], output: Output) -> None:
    """Report the written settings, make a running daemon use them, and report that. Raises ColdvoxError."""
    from coldvoxd.cli.session_commands import reload

    path = settings_file.default_path()
    for doc in settings_file.describe():
        if f"{doc.section}.{doc.key}" in written and doc.variable in os.environ:
            output.warning(f"The environment variable {doc.variable} overrides the file.")
    output.result(
        {"written": dict(written), "path": str(path)},
        "\n".join(
            f"{key} = {settings_file.toml_value(value)} is in {output.name(str(path))}"
            for key, value in written.items()
        ),
    )
    try:
        asyncio.run(reload(output))
    except (BusUnavailable, DaemonUnreachable):
        output.note("coldvoxd is not running; the settings take effect when it starts.")
    except ColdvoxError as error:
        raise type(error)(sentences("The settings are written", str(error))) from error


def _content(path: Path, target: Path) -> tuple[str, int]:
    """The text of the file and its permissions, or those of a new one. Raises SettingsError if it cannot be used."""
    if not settings_file.exists(path):
        return "", 0o644
    settings_file.load(path, environment={})
    try:
        state = target.stat()
        if not stat.S_ISREG(state.st_mode):
            raise SettingsError(f"{path} is not a regular file: change the settings where it gets its content.")
        return read_text(target), stat.S_IMODE(state.st_mode)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {why_unread(error)}.") from error


def _replace(path: Path, target: Path, text: str, mode: int) -> None:
    """Replace the file by one with this text, unless that cannot be used. Raises SettingsError, OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        try:
            settings_file.load(fresh, environment={})
        except SettingsError as error:
            raise SettingsError(str(error).replace(name, str(path))) from error
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
