"""The command evaluate with --tune: measures settings on recordings of the user's, and proposes values."""

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from coldvoxd.cli.evaluation_audio import read
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output, StatusLine, json_line
from coldvoxd.cli.report_files import Reports
from coldvoxd.cli.transcript_files import check
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate import tuning_report
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit
from coldvoxd.evaluate.clips import ClipFault, Dataset, DatasetFault, complaint
from coldvoxd.evaluate.engines import OwnEngine
from coldvoxd.evaluate.measuring import Reader
from coldvoxd.evaluate.scoring import Scorer
from coldvoxd.evaluate.tuning import Spoken, Tuner, Tuning, propose
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.vad.silero import SileroDetector

MOST_RECORDINGS = 40
"""Number of recordings if --at-most does not name one: with mini a minute, with a model of 2.5 GB a quarter of an hour."""
_SUFFIXES = {".json", ".md"}


def tune(arguments: Namespace, settings: Settings, dataset: Dataset, scoring: Scorer, output: Output) -> Exit:
    """Measure, print the figures and the proposed settings. Changes nothing. Raises ColdvoxError."""
    for file in arguments.output:
        if file.suffix.lower() not in _SUFFIXES:
            raise UsageFault(f"--output {file}: with --tune its suffix must be .json or .md.")
        check(file, force=arguments.force)
    chosen = dataset.at_most(arguments.at_most or MOST_RECORDINGS, np.random.default_rng(arguments.seed))
    method = seam_method_of(settings.model.name)
    rules = SeamRules.of(settings.dictation.seam, method, settings.dictation.seam_s)
    line = StatusLine()
    engine = OwnEngine(settings)
    try:
        tuner = Tuner(
            engine.recognizer,
            SileroDetector(),
            scoring,
            endpoint=settings.endpoint,
            rules=rules,
            language=engine.language,
            progress=lambda what, share: line.show(what, f" {int(100 * share)} %"),
        )
        found, faults = _measured(tuner, chosen, partial(read, channel=Channel(arguments.channel)), line)
    finally:
        line.clear()
        engine.close()
    bootstrap = Bootstrap(Unit.UTTERANCES, arguments.draws, arguments.seed)
    names = {
        "model": engine.model,
        "precision": engine.precision,
        "provider": engine.provider,
        "data": {"path": str(dataset.place.absolute()), "layout": dataset.layout},
        "normalization": scoring.normalizer.name,
        "failures": [{"id": fault.name, "message": fault.reason} for fault in faults],
    }
    proposal = propose(found, settings.dictation.seam, method)
    report = tuning_report.document(found, proposal, settings, method, bootstrap=bootstrap, names=names)
    reports = Reports({file: _content(file, report) for file in arguments.output}, force=arguments.force)
    reports.write(output)
    output.result(report, tuning_report.tables(report, markdown=arguments.format == "markdown").removesuffix("\n"))
    if faults:
        output.warning(complaint(faults, len(chosen.clips)))
    reports.check()
    return Exit.FAILED if faults else Exit.DONE


def _content(file: Path, report: Mapping[str, Any]) -> str:
    is_json = file.suffix.lower() == ".json"
    return f"{json_line(report)}\n" if is_json else tuning_report.tables(report, markdown=True)


def _measured(tuner: Tuner, dataset: Dataset, read_clip: Reader, line: StatusLine) -> tuple[Tuning, list[ClipFault]]:
    """Return the figures, and the recordings that could not be read or recognized. Raises DatasetFault."""
    faults: list[ClipFault] = []
    spoken: list[Spoken] = []
    for number, clip in enumerate(dataset.clips):
        line.show("listening", f" {100 * number // len(dataset.clips)} %")
        try:
            spoken.append(tuner.listen(read_clip(clip).wave, clip.reference))
        except ColdvoxError as error:
            faults.append(ClipFault(clip.id, str(error)))
    with_words = [one for one in spoken if one.alone.words]
    if len(with_words) < 2:
        raise DatasetFault(
            f"Words were recognized in {len(with_words)} of {len(dataset.clips)} recordings; --tune needs two. Check them with "
            "`coldvoxctl transcribe --local`."
        )
    return tuner.measure(spoken), faults
