"""The command doctor with --first-run."""

import contextlib
import dataclasses
import math
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldvoxd import settings_file
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.first_run_arguments import DEFAULT_MINUTES, DEFAULT_OUTPUT
from coldvoxd.cli.output import Output, StatusLine, json_line, print_remark, terminal_width
from coldvoxd.cli.page_reading import is_wanted, read_page
from coldvoxd.cli.transcript_files import write
from coldvoxd.core.errors import CaptureFault, ResourcesExhausted
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.settings import Settings
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.doctor.finding import Finding, Verdict, warn
from coldvoxd.doctor.redaction import Person
from coldvoxd.doctor.report import line as finding_line
from coldvoxd.evaluate.libraries import install_command
from coldvoxd.evaluate.peers import ONNX_ASR
from coldvoxd.first_run import page, peer, report
from coldvoxd.first_run.conducting import FirstRun, Listener, StepResult
from coldvoxd.first_run.findings import finding_of
from coldvoxd.first_run.model_on_disk import precisions_of
from coldvoxd.first_run.planning import CPU, SPARE_BYTES, Variant, needed_bytes
from coldvoxd.first_run.proposals import BUSY_SHARE
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.prepared_store import find_form, source_bytes
from coldvoxd.native.memory import available_bytes
from coldvoxd.native.providers import AUTO, likely_accelerators
from coldvoxd.preparation.cpu_contention import CpuContention

_SUFFIXES = (".md", ".json")
_BAR, _LEAST_BAR = 30, 4
"""Characters of the progress bar; none on a terminal that has no room for the least."""
_SCHEMA = f'{{"schema": "{report.SCHEMA.partition("/")[0]}/'


def first_run(arguments: Namespace, output: Output) -> Exit:
    """Measure, print each finding and write the report. Raises ColdvoxError; KeyboardInterrupt only before anything is measured."""
    output.require_stdout()
    settings = settings_file.load()
    name = arguments.model or settings.model.name
    found = precisions_of(name)
    variants = _variants(found, settings)
    files = _files(arguments.output or DEFAULT_OUTPUT)
    _announce(variants, output)
    with contextlib.ExitStack() as stack:
        page_descriptor = None
        if is_wanted(arguments.read, output):
            try:
                page_descriptor = stack.enter_context(read_page(settings.microphone))
            except CaptureFault as fault:
                output.warning(f"The page is left out: {fault}.")
        minutes = arguments.minutes or DEFAULT_MINUTES
        measured = _Measured(name, found, variants, settings, minutes * 60)
        return _Command(measured, files, output).run(page_descriptor)


@dataclasses.dataclass(frozen=True, slots=True)
class _Measured:
    """What is measured, and for how long."""

    model: str
    found: Mapping[Precision, ModelFiles]
    variants: Mapping[Variant, int]
    """With the size of their files in bytes, the main one first."""
    settings: Settings
    budget_s: float

    @property
    def main(self) -> Variant:
        """The variant with which settings are measured."""
        return next(iter(self.variants))


class _Command:
    """Runs it, shows the progress, and writes the report after each step: a process that is killed keeps what it measured."""

    def __init__(self, measured: _Measured, files: Mapping[str, Path], output: Output) -> None:
        self._measured = measured
        self._files = files
        self._output = output
        self._findings: list[Finding] = []
        self._began_s = time.monotonic()
        self._contention = CpuContention()
        self._progress = _Progress(output)
        self._person = Person.here()

    def run(self, page_descriptor: int | None) -> Exit:
        """Return the exit code: 1 if a finding is a failure, 130 after an interrupt."""
        measured = self._measured
        has_peer = peer.is_installed() and peer.is_readable(measured.found[measured.main.precision])
        self._run = FirstRun(
            measured.model,
            measured.variants,
            measured.budget_s,
            page=page_descriptor,
            with_peer=has_peer,
            listener=Listener(self._progress.show, self._finished),
        )
        is_interrupted = False
        try:
            self._run.run()
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            self._progress.clear()
        if self._contention.share >= BUSY_SHARE:
            finding = warn(
                "machine",
                f"other programs took {100 * self._contention.share:.0f} % of the processors meanwhile: speeds are worse than they are",
                "close them and measure again",
            )
            self._findings.append(finding)
            self._output.result({"event": "remark", **dataclasses.asdict(finding)}, finding_line(finding))
        if not peer.is_installed():
            self._output.note(f"onnx-asr is not installed; with it, tokens are compared: {install_command(ONNX_ASR)}")
        document = self._written(is_interrupted=is_interrupted)
        self._show(document)
        if is_interrupted:
            return Exit.INTERRUPTED
        return Exit.FAILED if any(one.verdict is Verdict.FAIL for one in self._findings) else Exit.DONE

    def _finished(self, result: StepResult) -> None:
        self._progress.clear()
        finding = finding_of(result)
        if finding is not None:
            self._findings.append(finding)
        self._written(is_interrupted=True)  # first: what is printed is in the report
        if finding is not None:
            fields = {
                "event": "step",
                "step": str(result.task.step),
                "variant": result.task.variant.name if result.task.variant else None,
                "status": str(result.status),
                "seconds": round(result.took_s, 1),
                **report.without_secrets(dataclasses.asdict(finding), self._person),
            }
            self._output.result(fields, finding_line(finding))

    def _written(self, *, is_interrupted: bool) -> dict[str, Any]:
        """Write the report of what was measured so far, and return it. Raises OutputFault."""
        measured = self._measured
        longest = {
            variant: None if math.isinf(limit := max_utterance_s(measured.model, variant.precision)) else limit
            for variant in measured.variants
        }
        how = report.Circumstances(
            measured.found[measured.main.precision].name,
            measured.settings,
            measured.budget_s,
            time.monotonic() - self._began_s,
            self._contention.share,
            longest,
            is_interrupted,
        )
        whole = report.document(self._run, list(measured.variants), self._findings, how)
        document: dict[str, Any] = report.without_secrets(whole, self._person)
        write(self._files[".json"], f"{json_line(document)}\n", force=True)
        write(self._files[".md"], page.markdown(document), force=True)
        return document

    def _show(self, document: dict[str, Any]) -> None:
        """Print the proposals, and where the report is."""
        lines = [""]
        for one in document["proposals"]:
            lines += [one["command"], f"    {one['reason']}"]
        if not document["proposals"]:
            lines.append("No other settings are proposed.")
        names = [str(path) for path in self._files.values()]
        shown = " and ".join(map(self._output.name, names))
        left = " Interrupted: it has what was measured until then." if document["interrupted"] else ""
        lines += ["", f"wrote {shown}; read it before you attach it to an issue.{left}"]
        self._output.result({"event": "done", "files": names, "report": document}, "\n".join(lines))


class _Progress:
    """A bar on a terminal, otherwise a line for each step."""

    def __init__(self, output: Output) -> None:
        self._line = StatusLine()
        self._is_quiet = output.as_json
        self._last = ""

    def show(self, what: str, share: float, left_s: float) -> None:
        """Show what is measured, the share of the run, and the seconds that it may still take."""
        left = f"at most {int(left_s) // 60}:{int(left_s) % 60:02} left"
        if self._line.wanted:
            rest = f"  {100 * share:.0f} %, {left}"
            length = min(_BAR, terminal_width(sys.stderr) - len(what) - len(rest) - len("  []"))
            done = int(length * share)
            bar = f"  [{'#' * done}{'-' * (length - done)}]" if length >= _LEAST_BAR else ""
            self._line.show(what, f"{bar}{rest}")
        elif not self._is_quiet and what != self._last:
            print_remark(f"coldvoxctl: {100 * share:.0f} %: {what}; {left}")
        self._last = what

    def clear(self) -> None:
        """Clear the bar."""
        self._line.clear()


def _variants(found: Mapping[Precision, ModelFiles], settings: Settings) -> dict[Variant, int]:
    """Return what is measured, with the size of its files, the main variant first. Raises ResourcesExhausted."""
    sizes = {precision: source_bytes(files) for precision, files in found.items()}
    free = available_bytes()

    def fits(variant: Variant) -> bool:
        return free is None or needed_bytes(sizes[variant.precision], variant) + SPARE_BYTES <= free

    wanted = Precision.on_cpu(settings.model.precision)
    on_cpu = [Variant(precision) for precision in found if precision is not Precision.FP16]
    if not on_cpu:
        raise ResourcesExhausted("The model has fp16 only, which the CPU does not run: add its fp32 files.")
    on_cpu.sort(key=lambda variant: (not fits(variant), variant.precision is not wanted))
    if not fits(on_cpu[0]):
        least = min(needed_bytes(sizes[variant.precision], variant) for variant in on_cpu)
        assert free is not None  # noqa: S101 - otherwise everything fits
        raise ResourcesExhausted(
            f"There is not enough memory: loading the model takes up to {size_text(least)}, with {size_text(SPARE_BYTES)} to spare, and "
            f"{size_text(free)} are free. Close other programs, or stop the daemon meanwhile (systemctl --user stop coldvoxd)."
        )
    chosen = [dataclasses.replace(on_cpu[0], is_main=True), *on_cpu[1:]]
    chosen += [Variant(one.precision, CPU, is_prepared=True) for one in on_cpu if find_form(found[one.precision])]
    providers = dict.fromkeys((*likely_accelerators(), *_named(settings.model.provider)))
    chosen += [Variant(precision, provider) for provider in providers for precision in found]
    return {variant: sizes[variant.precision] for variant in chosen}


def _named(provider: str) -> list[str]:
    """Return the accelerator that the settings name, if they name one."""
    return [] if short_name(provider) in {AUTO, CPU, "virtual"} else [provider]


def _announce(variants: Mapping[Variant, int], output: Output) -> None:
    if output.as_json:
        return
    names = "; ".join(variant.name for variant in variants)
    most = max(needed_bytes(size, variant) for variant, size in variants.items())
    free = available_bytes()
    there = f", and {size_text(free)} are free" if free is not None else ""
    print_remark(
        f"Measuring {names}.\nEach is loaded in a process of its own with low priority, which takes up to {size_text(most)} of memory{there}. "
        "A running daemon keeps its model, and can dictate meanwhile. Ctrl-C ends it, and keeps what was measured."
    )


def _files(target: Path) -> dict[str, Path]:
    """Return the files of the report by suffix, if they can be written; in a folder they have the usual name. Raises UsageFault."""
    if target.is_dir():
        target /= DEFAULT_OUTPUT
    stem = target.with_suffix("") if target.suffix in _SUFFIXES else target
    files = {suffix: stem.with_name(f"{stem.name}{suffix}") for suffix in _SUFFIXES}
    for suffix, path in files.items():
        head = page.TITLE if suffix == ".md" else _SCHEMA
        is_new = not os.path.lexists(path)
        try:
            with path.open("a+", encoding="utf-8", errors="replace") as file:
                file.seek(0)
                begin = file.read(len(head))
            if is_new:
                path.unlink()  # it was a trial
        except OSError as error:
            raise UsageFault(f"{path} cannot be written: {error.strerror or error}") from error
        if begin not in {"", head}:
            raise UsageFault(f"{path} exists, and is no report of a first run: choose another name with --output")
    return files
