"""The command doctor."""

import dataclasses
import os
from argparse import Namespace
from pathlib import Path

from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.doctor.examination import examine
from coldvoxd.doctor.finding import Verdict
from coldvoxd.doctor.redaction import Person
from coldvoxd.doctor.report import line, report

STANDARD_OUTPUT = Path("-")
_TITLE = b"# coldvoxd: report"
"""The beginning of a report."""


def doctor(arguments: Namespace, output: Output) -> Exit:
    """Print every finding as soon as it is available, and write the report if requested. Raises UsageFault.

    With --first-run the model is measured instead, which may raise any ColdvoxError.
    """
    if arguments.first_run:
        if arguments.report is not None:
            raise UsageFault(
                "--first-run writes a report of its own: leave out --report, and name its file with --output."
            )
        from coldvoxd.cli.first_run import first_run

        return first_run(arguments, output)
    for name in ("model", "minutes", "read", "output"):
        if getattr(arguments, name) is not None:
            raise UsageFault(f"--{name} belongs to --first-run: add that.")
    is_printed = arguments.report == STANDARD_OUTPUT
    if arguments.report is not None and not is_printed:
        _check(arguments.report)
        _write(arguments.report, "")  # before the checks, which take seconds
    findings = []
    for finding in examine():
        findings.append(finding)
        if not is_printed:
            output.result(dataclasses.asdict(finding), line(finding))
    if is_printed:
        text = report(findings, Person.here())
        output.result({"report": "-", "text": text}, text.rstrip("\n"))
    elif arguments.report is not None:
        _write(arguments.report, report(findings, Person.here()))
        output.result(
            {"report": str(arguments.report)},
            f"\nwrote {output.name(str(arguments.report))}; read it before you attach it",
        )
    failed = any(finding.verdict is Verdict.FAIL for finding in findings)
    return Exit.FAILED if failed else Exit.DONE


def _check(path: Path) -> None:
    """Raise UsageFault for a file with other content, which a report would destroy."""
    if not os.path.isfile(path):  # noqa: PTH113 - a path raises OSError for a long name
        return
    try:
        with path.open("rb") as file:
            head = file.read(len(_TITLE))
    except OSError as error:
        raise _unwritable(path, error) from error
    if head not in {b"", _TITLE}:
        raise UsageFault(f"{path} exists, and is no report: choose another name")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageFault:
    return UsageFault(f"{path} cannot be written: {error.strerror or error}")
