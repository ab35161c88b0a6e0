"""The command evaluate."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from coldvoxd import settings_file
from coldvoxd.cli.evaluation_audio import read as read_audio
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output, StatusLine, json_line
from coldvoxd.cli.report_files import Reports
from coldvoxd.cli.transcript_files import check, check_suffix, identities
from coldvoxd.core.channels import Channel
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate import plot, report, tables
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit, unit_for
from coldvoxd.evaluate.clips import Dataset
from coldvoxd.evaluate.comparing import Gate, differences
from coldvoxd.evaluate.datasets import read as read_dataset
from coldvoxd.evaluate.engines import OWN
from coldvoxd.evaluate.measuring import Measurement, Run
from coldvoxd.evaluate.noise import Noise, conditions
from coldvoxd.evaluate.normalization import Normalization, normalizer
from coldvoxd.evaluate.report import Method
from coldvoxd.evaluate.scoring import Scorer, scorer
from coldvoxd.evaluate.variants import Comparison, Variant, changed, variants

_SUFFIXES = {".json": "json", ".md": "markdown", ".svg": "svg"}


def evaluate(arguments: Namespace, output: Output) -> Exit:
    """Measure, print and write the report. Raises ColdvoxError."""
    if arguments.blind:
        from coldvoxd.cli.blind import compare_blindly

        return compare_blindly(arguments, output)
    if arguments.place is None:
        raise UsageFault("Name a DIRECTORY with recordings and texts. See `coldvoxctl evaluate --help`.")
    form = _form(arguments, output)
    if arguments.tune:
        return _tune(arguments, output)
    files = _files(arguments, form)
    output.require_stdout()
    measured = variants(_settings(arguments), list(map(Comparison.parse, arguments.compare)), arguments.engine)
    if arguments.gate is not None and sum(variant.engine == OWN for variant in measured) < 2:
        raise UsageFault(
            "--gate compares variants with the first one: add --compare, as in --compare provider=cpu,cuda."
        )
    if arguments.noise and not arguments.snr:
        raise UsageFault("--noise says which noise --snr adds: add --snr, as in --snr 20,10.")
    scoring = scorer(normalizer(Normalization(arguments.normalize)))
    dataset = _dataset(arguments, scoring)
    kinds = list(Noise) if arguments.noise == "both" else [Noise(arguments.noise or Noise.WHITE)]
    if arguments.snr and Noise.BABBLE in kinds and len(dataset.clips) == 1:
        raise UsageFault("Babble consists of other recordings: there is only one here.")
    chosen = None if arguments.resample == "auto" else Unit(arguments.resample)
    bootstrap = Bootstrap(unit_for([clip.speaker for clip in dataset.clips], chosen), arguments.draws, arguments.seed)
    line = StatusLine()
    measurement = Measurement(
        dataset.clips,
        partial(read_audio, channel=Channel(arguments.channel)),
        scoring,
        conditions=conditions(kinds, arguments.snr),
        seed=arguments.seed,
        progress=lambda what, share: line.show(what, f" {int(100 * share)} %"),
    )
    runs = _measured(measurement, measured, line)
    compared = differences(runs, bootstrap)
    gate = None if arguments.gate is None else Gate(arguments.gate, compared)
    document = report.document(dataset, runs, compared, gate, Method(scoring, bootstrap, arguments.seed))
    reports = Reports({file: _CONTENTS[kind](document) for file, kind in files.items()}, force=arguments.force)
    reports.write(output)
    summary = report.without_text(document)
    output.result(summary, _printed(form, document))
    reports.check()
    return _verdict(runs, gate)


def _tune(arguments: Namespace, output: Output) -> Exit:
    """Measure and propose settings. Raises ColdvoxError."""
    from coldvoxd.cli.tune import tune

    if (
        arguments.compare
        or arguments.engine
        or arguments.snr
        or arguments.gate is not None
        or arguments.format == "svg"
    ):
        raise UsageFault(
            "--tune measures values of its own: leave out --compare, --engine, --snr, --gate and --format svg."
        )
    scoring = scorer(normalizer(Normalization(arguments.normalize)))
    return tune(arguments, _settings(arguments), _usable(arguments, scoring), scoring, output)


def _measured(measurement: Measurement, measured: list[Variant], line: StatusLine) -> list[Run]:
    try:
        return [run for variant in measured for run in measurement.measure(variant)]
    finally:
        line.clear()


def _settings(arguments: Namespace) -> Settings:
    """Return the settings in force, with those that the options name."""
    given = {key: getattr(arguments, key) for key in ("model", "precision", "provider", "language")}
    return changed(settings_file.load(), {key: value for key, value in given.items() if value})


def _dataset(arguments: Namespace, scoring: Scorer) -> Dataset:
    """Return the recordings to measure. Raises DatasetFault."""
    return _usable(arguments, scoring).at_most(arguments.at_most, np.random.default_rng(arguments.seed))


def _usable(arguments: Namespace, scoring: Scorer) -> Dataset:
    """Return the recordings whose texts have words. Raises DatasetFault, also if there are others, unless these are left out."""
    return read_dataset(arguments.place).with_words(scoring.normalizer).without_faults(arguments.skip_faulty)


def _form(arguments: Namespace, output: Output) -> str:
    """Return the format of standard output. Raises UsageFault."""
    form: str = arguments.format or ("json" if output.as_json else "table")
    if output.as_json and form != "json":
        raise UsageFault(f"--json and --format {form} exclude each other: choose one.")
    output.as_json = form == "json"
    return form


def _files(arguments: Namespace, form: str) -> dict[Path, str]:
    """Return the files to write with their formats, if they can be written. Raises UsageFault, OutputExists or OutputFault."""
    files = {}
    inputs = identities([str(arguments.place)])
    for file in arguments.output:
        check_suffix(file)
        kind = _SUFFIXES.get(file.suffix.lower()) or (form if arguments.format else None)
        if kind is None:
            raise UsageFault(f"--output {file}: its suffix must be {', '.join(_SUFFIXES)}, or name a --format.")
        check(file, force=arguments.force, inputs=inputs)
        files[file] = kind
    return files


def _printed(form: str, document: Mapping[str, Any]) -> str:
    return _CONTENTS[form](document).removesuffix("\n") if form != "json" else ""


def _verdict(runs: list[Run], gate: Gate | None) -> Exit:
    """Return the exit code: a gate cannot be judged if nothing was measured with the first variant."""
    if not runs[0].counts.words:
        return Exit.FAILED
    if gate is not None and not gate.is_met:
        return Exit.GATE_MISSED
    return Exit.FAILED if any(run.failures for run in runs) else Exit.DONE


_CONTENTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "table": lambda document: f"{tables.terminal(document)}\n",
    "markdown": tables.markdown,
    "json": lambda document: f"{json_line(document)}\n",
    "svg": plot.svg,
}
