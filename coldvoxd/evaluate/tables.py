"""The tables of a report, for a terminal and as Markdown. They hold no spoken text."""

from collections.abc import Iterable, Sequence
from typing import Any

from coldvoxd.core.visible_text import visible
from coldvoxd.evaluate.clips import MOST_NAMED
from coldvoxd.evaluate.report import Document

MOST_CLIPS = 20
"""Maximum number of clips in the table of those with most errors."""
NO_RATE = "-"
"""In the place of a rate without words."""
_RUN_HEAD = ("run", "WER %", "95 %", "words", "sub", "del", "ins", "x real time", "peak MiB", "model")
_DIFFERENCE_HEAD = ("against the first", "condition", "points", "95 %", "words", "certain")
_CLIP_HEAD = ("clip", "run", "words", "errors", "seconds")


def terminal(report: Document) -> str:
    """Return tables with aligned columns, and remarks."""
    parts = [aligned(_RUN_HEAD, map(_run_row, report["runs"]))]
    if report["differences"]:
        parts.append(aligned(_DIFFERENCE_HEAD, map(_difference_row, report["differences"])))
    return "\n\n".join([*parts, "\n".join(remarks(report))])


def markdown(report: Document) -> str:
    """Return a page with tables, remarks and the clips that have most errors."""
    data = report["data"]
    speakers = f", {data['speakers']} speakers" if data["speakers"] else ""
    lines = [
        f"# Evaluation: {data['clips']} recordings{speakers}",
        "",
        *pipes(_RUN_HEAD, map(_run_row, report["runs"])),
    ]
    if report["differences"]:
        lines += ["", *pipes(_DIFFERENCE_HEAD, map(_difference_row, report["differences"]))]
    lines += ["", *(f"- {remark}" for remark in remarks(report))]
    if worst := list(_worst(report)):
        lines += ["", "Clips with most errors (their texts are in the JSON report):", "", *pipes(_CLIP_HEAD, worst)]
    return "\n".join([*lines, ""])


def remarks(report: Document) -> list[str]:
    """Return sentences: method, what was left out, what failed, and whether the gate is met."""
    bootstrap, machine = report["bootstrap"], report["machine"]
    found = [
        (
            f"Word errors per word of the reference after normalization: {report['normalization']}; {report['scorer']}. 95 % "
            f"intervals: bootstrap by {bootstrap['unit']}, {bootstrap['resamples']} draws, seed {bootstrap['seed']}."
        ),
        (
            f"coldvoxd {report['version']}, ONNX Runtime {machine['onnxruntime']}, {machine['processor'] or 'unknown processor'}, "
            f"{machine['processors']} processors. Speed includes voice activity detection and joining, not reading the file."
        ),
    ]
    data = report["data"]
    if count := data.get("reference_files"):  # reports of earlier versions do not have it
        found.append(f"References: {count} {'file' if count == 1 else 'files'}, {data['references']}.")
    if left_out := data["left_out"]:
        found.append(
            _named(f"{len(left_out)} recordings were left out", [f"{x['name']}: {x['reason']}" for x in left_out])
        )
    for run in report["runs"]:
        if run["failures"]:
            names = [f"{failure['id']}: {failure['message']}" for failure in run["failures"]]
            found.append(
                _named(
                    f"{visible(run['name'])}: {len(run['failures'])} recordings failed, and are not in its rate", names
                )
            )
        if run["warnings"]:
            names = [f"{warning['id']}: {' '.join(warning['messages'])}" for warning in run["warnings"]]
            found.append(_named(f"{visible(run['name'])}: {len(run['warnings'])} recordings are damaged", names))
    if gate := report["gate"]:
        found += _gate_remarks(gate)
    return found


def _gate_remarks(gate: Document) -> list[str]:
    allowed = f"{gate['allowed_points']:g} points"
    verdict = (
        f"Gate met: no variant has more than {allowed} more word errors than the first."
        if gate["met"]
        else f"Gate missed: more than {allowed} more word errors than the first, or failures, in {'; '.join(gate['missed'])}."
    )
    if gate["smallest_points"] is not None and gate["smallest_points"] > gate["allowed_points"]:
        verdict += (
            f" One word weighs {gate['smallest_points']:.2g} points here: use more recordings for a decision this fine."
        )
    return [verdict]


def _named(what: str, names: Sequence[str]) -> str:
    more = f"; and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{what} ({'; '.join(map(visible, names[:MOST_NAMED]))}{more})."


def _run_row(run: Document) -> tuple[str, ...]:
    speed = run["times_real_time"]
    return (
        run["name"],
        NO_RATE if run["wer"] is None else f"{run['wer']:.2f}",
        _span(run["interval"], ".2f"),
        str(run["words"]),
        str(run["substitutions"]),
        str(run["deletions"]),
        str(run["insertions"]),
        NO_RATE if speed is None else f"{speed:.1f}",
        str(run["peak_mib"]),
        f"{run['model']} {run['precision']} {run['provider']}",
    )


def _span(interval: Sequence[float] | None, spelled: str) -> str:
    return NO_RATE if interval is None else f"{interval[0]:{spelled}} to {interval[1]:{spelled}}"


def _difference_row(one: Document) -> tuple[str, ...]:
    return (
        one["other"],
        one["condition"],
        NO_RATE if one["points"] is None else f"{one['points']:+.2f}",
        _span(one["interval"], "+.2f"),
        str(one["words"]),
        "yes" if one["certain"] else "no",
    )


def _worst(report: Document) -> Iterable[tuple[str, ...]]:
    """Yield the clips with most errors, over all runs."""
    found: list[tuple[int, str, Any]] = [
        (one["substitutions"] + one["deletions"] + one["insertions"], run["name"], one)
        for run in report["runs"]
        for one in run.get("utterances", ())
    ]
    found = sorted((entry for entry in found if entry[0]), key=lambda entry: (-entry[0], entry[2]["id"], entry[1]))
    for errors, name, one in found[:MOST_CLIPS]:
        yield (one["id"], name, str(one["words"]), str(errors), f"{one['audio_s']:.1f}")


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column is on the left, and the others on the right, as the last one is not."""
    table = [tuple(head), *(tuple(map(visible, row)) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    last = len(head) - 1
    lines = []
    for row in table:
        cells = [
            cell.ljust(width) if column in {0, last} else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def pipes(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    escaped = [[visible(cell).replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *escaped)]
