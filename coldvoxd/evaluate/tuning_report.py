"""The figures of a tuning as JSON, as tables, and as lines for the settings file. They hold no spoken text."""

from collections.abc import Iterator
from typing import Any

from coldvoxd import __version__
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate.bootstrap import Bootstrap
from coldvoxd.evaluate.comparing import POINTS
from coldvoxd.evaluate.report import Document
from coldvoxd.evaluate.tables import aligned, pipes
from coldvoxd.evaluate.tuning import EQUAL_SHARE, PAUSES_S, Proposal, Row, Tuning

SCHEMA = "coldvoxd-tuning/1"
_HEADS = {
    "hangover": ("hangover_ms", "utterances", "words", "errors", "WER %", "against now", "marks"),
    "seam": ("seam", "utterances", "words", "errors", "WER %", "against now", "marks", "s for seams"),
    "dither": ("dither dBFS", "recordings", "words", "errors", "WER %", "against none", "marks"),
}


def document(
    tuning: Tuning,
    proposal: Proposal,
    settings: Settings,
    model_method: SeamMethod,
    *,
    bootstrap: Bootstrap,
    names: Document,
) -> dict[str, Any]:
    """Return all figures. `names` has what the caller knows: model, precision, provider, data, normalization."""
    seam_now = model_method if settings.dictation.seam == "auto" else SeamMethod(settings.dictation.seam)
    return {
        "schema": SCHEMA,
        "version": __version__,
        **names,
        "recordings": tuning.recordings,
        "sessions": tuning.sessions,
        "now": {"hangover_ms": settings.endpoint.hangover_ms, "seam": settings.dictation.seam},
        "proposed": {
            "hangover_ms": proposal.hangover_ms,
            "seam": proposal.seam,
            "dither_db": proposal.dither_db or None,
        },
        "hangover": _rows(tuning.hangovers, settings.endpoint.hangover_ms, bootstrap),
        "seam": _rows(tuning.seams, seam_now, bootstrap),
        "dither": _rows(tuning.dithers, 0, bootstrap),
    }


def _rows(rows: dict[Any, Row], now: Any, bootstrap: Bootstrap) -> list[dict[str, Any]]:
    base = rows[now]
    return [_row(str(value), row, base, bootstrap) for value, row in rows.items()]


def _row(value: str, row: Row, base: Row, bootstrap: Bootstrap) -> dict[str, Any]:
    total = row.total
    interval = bootstrap.difference(base.counts, row.counts, [""] * len(row.counts))
    return {
        "value": value,
        "utterances": row.utterances,
        "words": total.words,
        "errors": total.errors,
        "wer": round(POINTS * total.rate, 4),
        "points": round(POINTS * (total.rate - base.total.rate), 4),
        "interval": [round(POINTS * interval.low, 4), round(POINTS * interval.high, 4)],
        "marks": row.marks,
        "recognition_s": round(row.recognition_s, 3),
        "seam_s": round(row.seam_s, 3),
    }


def snippet(report: Document) -> str:
    """Return lines for the settings file, with the reasons as comments. Settings that stay are comments too."""
    now, proposed = report["now"], report["proposed"]
    rows = {kind: {row["value"]: row for row in report[kind]} for kind in ("hangover", "seam", "dither")}
    lines = ["[endpoint]", *_reason(rows["hangover"], str(now["hangover_ms"]), str(proposed["hangover_ms"]), " ms")]
    later_ms = proposed["hangover_ms"] - now["hangover_ms"]
    if later_ms:
        lines.append(f"# each text comes {abs(later_ms)} ms {'later' if later_ms > 0 else 'earlier'}")
    kept = later_ms == 0
    lines += [
        f"{'# ' if kept else ''}hangover_ms = {proposed['hangover_ms']}{' (as now)' if kept else ''}",
        "",
        "[dictation]",
    ]
    lines += [f"# seam {row['value']}: {row['errors']} errors, {row['marks']} marks" for row in report["seam"]]
    kept = now["seam"] == proposed["seam"]
    lines.append(f'{"# " if kept else ""}seam = "{proposed["seam"]}"{" (as now)" if kept else ""}')
    none = rows["dither"]["0"]
    if proposed["dither_db"] is None:
        lines += [
            "",
            f"# dither: none, as now; noise in the whole recording does not help ({none['errors']} errors without)",
        ]
    else:
        best = rows["dither"][str(proposed["dither_db"])]
        lines += [
            "",
            f"# dither: {best['errors']} errors with noise at {proposed['dither_db']} dBFS, {none['errors']} without. There is no",
            "# setting for that; please report it with the model's name.",
        ]
    return "\n".join(lines)


def _reason(rows: Document, now: str, proposed: str, unit: str) -> Iterator[str]:
    for value in dict.fromkeys((now, proposed)):
        row = rows[value]
        yield f"# {value}{unit}: {row['errors']} errors, {row['marks']} marks in {row['words']} words"


def tables(report: Document, *, markdown: bool) -> str:
    """Return the figures as tables, with remarks and the proposed settings."""
    parts = []
    for kind, head in _HEADS.items():
        rows = [_cells(kind, row) for row in report[kind]]
        parts.append("\n".join(pipes(head, rows)) if markdown else aligned(head, rows))
    parts.append("\n".join(f"- {remark}" if markdown else remark for remark in remarks(report)))
    lines = snippet(report)
    parts.append(f"```toml coldvoxd.toml\n{lines}\n```" if markdown else lines)
    title = f"# Tuning: {report['model']} {report['precision']} {report['provider']}\n\n" if markdown else ""
    return title + "\n\n".join(parts) + "\n"


def remarks(report: Document) -> list[str]:
    """Return sentences on how it was measured."""
    pauses = ", ".join(f"{pause_s:g} s" for pause_s in PAUSES_S if pause_s)
    return [
        (
            f"{report['sessions']} sessions of two recordings each, out of {report['recordings']}: as they are, and with a pause of "
            f"{pauses} inside each. Normalization: {report['normalization']}."
        ),
        (
            "Marks: words with the right letters and another mark or capital letter than in the recordings without pauses. Against "
            "now: percentage points, 95 % by bootstrap of sessions."
        ),
        f"Equal are settings whose errors and marks differ by at most {100 * EQUAL_SHARE:g} % of the words. Nothing was changed.",
    ]


def _cells(kind: str, row: Document) -> tuple[str, ...]:
    low, high = row["interval"]
    cells = (
        row["value"] if kind != "dither" or row["value"] != "0" else "none",
        str(row["utterances"]),
        str(row["words"]),
        str(row["errors"]),
        f"{row['wer']:.2f}",
        f"{row['points']:+.2f} ({low:+.2f} to {high:+.2f})",
        str(row["marks"]) if kind != "dither" else "-",
    )
    return (*cells, f"{row['seam_s']:.2f}") if kind == "seam" else cells
