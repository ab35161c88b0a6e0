"""The command doctor."""

import dataclasses
from argparse import Namespace
from pathlib import Path

from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.doctor.examination import examine
from coldvoxd.doctor.finding import Verdict
from coldvoxd.doctor.redaction import Person
from coldvoxd.doctor.report import line, report

STANDARD_OUTPUT = Path("-")


def doctor(arguments: Namespace, output: Output) -> Exit:
    """Print every finding as soon as it is available, and write the report if requested. Raises UsageFault."""
    is_printed = arguments.report == STANDARD_OUTPUT
    if arguments.report is not None and not is_printed:
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


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageFault(f"{path} cannot be written: {error.strerror or error}") from error
