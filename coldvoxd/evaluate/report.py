"""The report of an evaluation as one JSON document, from which tables and the plot are made.

A program that reads it checks `schema`. Later versions only gain keys, or have another number.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from coldvoxd import __version__
from coldvoxd.core.errors import InvalidOption
from coldvoxd.core.text_formats import json_value
from coldvoxd.evaluate.bootstrap import Bootstrap
from coldvoxd.evaluate.clips import Dataset
from coldvoxd.evaluate.comparing import POINTS, Difference, Gate
from coldvoxd.evaluate.measuring import Outcome, Run
from coldvoxd.evaluate.scoring import Scorer
from coldvoxd.native.ort import VERSION as ORT_VERSION

SCHEMA = "coldvoxd-evaluation/1"
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """How rates and intervals were computed."""

    scorer: Scorer
    bootstrap: Bootstrap
    seed: int
    """Of the noise, and of the choice of clips."""


def document(
    dataset: Dataset, runs: Sequence[Run], differences: Sequence[Difference], gate: Gate | None, method: Method
) -> dict[str, Any]:
    """Return the whole report. It holds spoken text: references and what was recognized."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "data": _data(dataset),
        "normalization": method.scorer.normalizer.name,
        "scorer": method.scorer.name,
        "bootstrap": {
            "unit": str(method.bootstrap.unit),
            "resamples": method.bootstrap.resamples,
            "seed": method.bootstrap.seed,
            "confidence": 0.95,
        },
        "seed": method.seed,
        "machine": {"processor": processor(), "processors": os.cpu_count(), "onnxruntime": ORT_VERSION},
        "runs": [_run(run, method.bootstrap) for run in runs],
        "differences": [_difference(one) for one in differences],
        "gate": None if gate is None else _gate(gate),
    }


def without_text(report: Document) -> dict[str, Any]:
    """Return a report without its utterances: no spoken text, and no names of recordings but those that failed."""
    runs = [{key: value for key, value in run.items() if key != "utterances"} for run in report["runs"]]
    return {**report, "runs": runs}


def load(path: Path) -> dict[str, Any]:
    """Read a report that was written with `--output FILE.json`. Raises InvalidOption."""
    try:
        found = json_value(path.read_bytes())
    except OSError as error:
        raise InvalidOption(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise InvalidOption(f"{path} is not a report: it is not JSON.") from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise InvalidOption(
            f"{path} is not a report of this version ({SCHEMA}): make one with `coldvoxctl evaluate DIRECTORY --output "
            "FILE.json`."
        )
    report: dict[str, Any] = found
    return report


def _data(dataset: Dataset) -> dict[str, Any]:
    clips = dataset.clips
    return {
        "path": str(dataset.place.absolute()),
        "layout": dataset.layout,
        "clips": len(clips),
        "speakers": len({clip.speaker for clip in clips if clip.speaker}),
        "references": dataset.references,
        "reference_files": dataset.reference_files,
        "left_out": [asdict(fault) for fault in dataset.faults],
    }


def _run(run: Run, bootstrap: Bootstrap) -> dict[str, Any]:
    counts = run.counts
    heard = [one for one in run.outcomes if one.counts is not None]
    rate, interval = None, None
    if counts.words:
        rate = round(POINTS * counts.rate, 4)
        interval = bootstrap.interval([one.counts for one in heard if one.counts], [one.clip.speaker for one in heard])
    return {
        "name": run.name,
        "variant": run.variant.name,
        "engine": run.variant.engine,
        "model": run.model,
        "precision": run.precision,
        "provider": run.provider,
        "noise": None if run.condition.noise is None else str(run.condition.noise),
        "snr_db": None if run.condition.noise is None else run.condition.snr_db,
        "wer": rate,
        "interval": None if interval is None else [round(POINTS * interval.low, 4), round(POINTS * interval.high, 4)],
        "words": counts.words,
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "clips": len(heard),
        "audio_s": round(run.seconds, 3),
        "recognition_s": round(run.took_s, 3),
        "times_real_time": round(run.seconds / run.took_s, 2) if run.took_s else None,
        "load_s": round(run.load_s, 3),
        "peak_mib": run.peak_mib,
        "failures": [{"id": one.clip.id, "file": str(one.clip.path), "message": one.fault} for one in run.failures],
        "warnings": [{"id": one.clip.id, "messages": list(one.warnings)} for one in run.outcomes if one.warnings],
        "utterances": [_utterance(one) for one in heard],
    }


def _utterance(one: Outcome) -> dict[str, Any]:
    counts = one.counts
    assert counts is not None  # noqa: S101 - the caller passes those that were recognized
    return {
        "id": one.clip.id,
        "file": str(one.clip.path.absolute()),
        "begin_s": one.clip.begin_s,
        "speaker": one.clip.speaker,
        "audio_s": round(one.seconds, 3),
        "recognition_s": round(one.took_s, 4),
        "words": counts.words,
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "reference": one.clip.reference,
        "reference_file": None if one.clip.text_file is None else str(one.clip.text_file.absolute()),
        "text": one.text,
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "base": one.base.variant.name,
        "other": one.other.variant.name,
        "condition": one.base.condition.name,
        "clips": one.clips,
        "words": one.words,
        "points": round(one.points, 4) if one.words else None,
        "interval": [round(one.interval.low, 4), round(one.interval.high, 4)] if one.words else None,
        "certain": one.is_certain,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "allowed_points": gate.allowed_points,
        "met": gate.is_met,
        "missed": [one.other.name for one in gate.missed],
        "smallest_points": None if gate.smallest_points is None else round(gate.smallest_points, 4),
    }


def processor() -> str:
    """Return the processor's model name; empty if the kernel does not report it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
