"""The file for a bug report: findings, settings and journal, without data that identifies the sender."""

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator

from coldvoxd import __version__, settings_file
from coldvoxd.core.errors import SettingsError
from coldvoxd.doctor.finding import Finding
from coldvoxd.doctor.redaction import Person, redacted

JOURNAL_LINES = 300
JOURNAL_LIMIT_S = 20
JOURNAL = (
    "journalctl",
    "--user",
    "--unit=coldvoxd.service",
    "--boot",
    "--output=short-iso",
    "--no-hostname",
    "--no-pager",
)
UP_TO_INFO = "--priority=info"
"""Spoken text is logged at debug level only, and only if enabled in the settings."""


def report(findings: Iterable[Finding], person: Person) -> str:
    """The report in Markdown. Blocks while the journal is read."""
    parts = [
        "# coldvoxd: report for a bug\n",
        "Home, user and host names, addresses and keys were removed, and there is no spoken text in it.",
        "Read it before you attach it: a person's name in a device name, for example, cannot be recognized as one.\n",
        *_system(),
        "\n## Checks\n\n```",
        *map(line, findings),
        "```\n\n## Settings that differ from the defaults\n\n```",
        *_settings(),
        "```\n\n## Journal of the unit, this boot\n\n```",
        _journal(),
        "```",
    ]
    return redacted("\n".join(parts), person) + "\n"


def line(finding: Finding) -> str:
    """One finding as text, with its remedy in the next line."""
    shown = f"{finding.verdict:<5} {finding.part:<13} " + finding.text.replace("\n", "\n" + " " * 20)
    if finding.remedy:
        shown += "\n      -> " + finding.remedy.replace("\n", "\n         ")
    return shown


def _system() -> Iterator[str]:
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        distribution = "unknown"
    yield f"- coldvoxd {__version__}, Python {platform.python_version()}"
    yield f"- {distribution}, Linux {platform.release()}, {platform.machine()}"
    yield f"- desktop {os.environ.get('XDG_CURRENT_DESKTOP', 'none')}, session {os.environ.get('XDG_SESSION_TYPE', 'none')}"


def _settings() -> Iterator[str]:
    try:
        chosen = settings_file.load()
    except SettingsError as error:
        yield str(error)
        return
    for doc in settings_file.describe():
        value = getattr(getattr(chosen, doc.section), doc.key)
        if value != doc.default:
            yield f"{doc.section}.{doc.key} = {settings_file.toml_value(value)}"


def _journal() -> str:
    try:
        read = subprocess.run(
            [*JOURNAL, UP_TO_INFO, f"--lines={JOURNAL_LINES}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=JOURNAL_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        return "(there is no journalctl)"
    except subprocess.TimeoutExpired:
        return f"(journalctl did not finish within {JOURNAL_LIMIT_S} s)"
    return read.stdout.strip() or f"(none: {read.stderr.strip() or 'it is empty'})"
