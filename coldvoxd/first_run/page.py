"""The report of a first run as a Markdown page. It holds no spoken text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coldvoxd.evaluate.tables import pipes
from coldvoxd.first_run.untried import statements

Document = Mapping[str, Any]
TITLE = "# coldvoxd: first run of a model"
"""The beginning of a report."""
_NOTE = (
    "Written by `coldvoxctl doctor --first-run`. Home, user and host names, addresses, keys and serial numbers were removed, and "
    "there is no spoken text in it. Read it before you attach it to an issue, with the `.json` file beside it."
)


def markdown(report: Document) -> str:
    """Return the page."""
    parts = [
        f"{TITLE}\n\n{_NOTE}",
        _summary(report),
        _findings(report),
        _proposed(report),
        *_tables(report),
        _maintainers(report),
        _steps(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(report: Document) -> str:
    machine = report["machine"]
    lines = [
        f"- coldvoxd {report['version']}, ONNX Runtime {machine['onnxruntime']}, Python {machine['python']}",
        f"- {machine['system']}",
        f"- {machine['processor'] or 'unknown processor'}, {machine['cores']} cores; {machine['memory_gib']:g} GiB of memory",
        f"- model `{report['model']}`; settings were measured in {report['main']}",
        (
            f"- {report['took_s']:.0f} s of at most {report['budget_s']:.0f} s. Other programs took {100 * machine['busy_share']:.0f} % of "
            "the processors meanwhile, and came first: a busy machine makes speeds worse than they are"
        ),
    ]
    if report["interrupted"]:
        lines.append("- **interrupted**: this is what was measured until then")
    if not report["understands"]:
        lines.append(
            "- **These weights do not understand speech**: speed and memory are measured, and nothing that needs words."
        )
    return "\n".join(lines)


def _findings(report: Document) -> str:
    rows = [
        (one["verdict"], one["part"], one["text"] + (f" -> {one['remedy']}" if one["remedy"] else ""))
        for one in report["findings"]
    ]
    return "## Findings\n\n" + _table(("", "part", "found"), rows)


def _proposed(report: Document) -> str:
    if not report["proposals"]:
        why = "" if report["understands"] else ", because these weights do not understand speech"
        return f"## Proposed settings\n\nNone{why}: no figure here speaks for another value than that in force."
    lines = [f"{one['command']}\n# {one['reason']}" for one in report["proposals"]]
    return "## Proposed settings\n\n```text\n" + "\n\n".join(lines) + "\n```"


def _tables(report: Document) -> Iterator[str]:
    yield _files(report["files"])
    yield _speeds(report["variants"])
    yield _memory(report["variants"])
    yield _words(report)
    for one in report["variants"]:
        yield _lengths(one)
    yield from _pauses(report["pauses"])
    yield _silence(report["silence"])
    yield from _read(report["variants"])


def _files(files: Document) -> str:
    if not files:
        return ""
    source = (
        f"`{files['repository']}` at `{files['revision']}`"
        if files["repository"]
        else "no published model that coldvoxd knows"
    )
    rows = [
        (
            one["name"],
            str(one["bytes"]),
            one["sha256"] or "no time",
            one["pinned_hash"] or "-",
            one["pinned"],
            one["recorded"],
        )
        for one in files["files"]
    ]
    head = ("file", "bytes", "sha256", "pinned hash", "pinned", "recorded")
    return f"## Files\n\nCompared with {source} (pinned), and with the download or an earlier check (recorded).\n\n{_table(head, rows)}"


def _speeds(variants: Sequence[Document]) -> str:
    rows = []
    for one in variants:
        speed, load = one["speed"], one["load"]
        if not speed:
            continue
        rows.append(
            (
                one["name"],
                load["device"] or "-",
                f"{load['load_s']:.2f}",
                _number(one["speech"].get("first_run_s"), 3),
                str(speed["runs"]),
                f"{speed['p50_s']:.3f}",
                f"{speed['p95_s']:.3f}",
                f"{speed['real_time_factor']:.4f}",
                _number(speed["encoder_s"], 3),
                _number(speed["decoder_s"], 3),
                f"{speed['long_run_s']:.2f} ({speed['long_s']:.0f} s)",
            )
        )
    head = (
        "variant",
        "device",
        "load s",
        "first run s",
        "runs of 3 s",
        "p50 s",
        "p95 s",
        "RTF",
        "encoder s",
        "decoder s",
        "long run s",
    )
    return f"## Speed\n\nRTF: p50 divided by 3 s.\n\n{_table(head, rows)}" if rows else ""


def _memory(variants: Sequence[Document]) -> str:
    rows = [
        (
            one["name"],
            str(one["load"]["load_peak_mib"]),
            str(one["load"]["loaded_mib"]),
            str(one["load"]["loaded_own_mib"]),
            str(one["speed"]["peak_mib"]) if one["speed"] else "-",
            str(one["speed"]["resident_mib"]) if one["speed"] else "-",
            str(one["speed"]["own_mib"]) if one["speed"] else "-",
            "-" if not one["speed"] or one["speed"]["gpu_mib"] is None else str(one["speed"]["gpu_mib"]),
        )
        for one in variants
        if one["load"]
    ]
    head = ("variant", "most while loading", "loaded", "own", "most with the long run", "afterwards", "own", "GPU")
    note = "Resident memory of the process in MiB, Python included; own is without mapped files, which the kernel can reclaim."
    return f"## Memory\n\n{note}\n\n{_table(head, rows)}" if rows else ""


def _words(report: Document) -> str:
    rows = []
    for one in report["variants"]:
        if speech := one["speech"]:
            as_fp32 = speech["golden_as_fp32"]
            rows.append(
                (
                    one["name"],
                    f"{speech['golden_errors']} in {speech['golden_words']}",
                    "-" if as_fp32 is None else "yes" if as_fp32 else "no",
                    f"{speech['golden_confidence']:.3f}",
                    f"{speech['errors']} in {speech['words']}",
                )
            )
    head = ("variant", "golden clip: errors, words", "as the main variant", "confidence", "recordings: errors, words")
    text = f"## Words\n\nScored by {report['scoring']}.\n\n{_table(head, rows)}" if rows else ""
    if peer := report["peer"]:
        text += (
            f"\n\n{peer['engine']} with the same files: of {peer['recordings']} recordings ({peer['tokens']} tokens) {peer['other_tokens']} "
            f"have other tokens, and {peer['other_frames']} the same ones at other frames."
        )
    if found := report["partials"]:
        text += (
            f"\n\nWords during speech: {found['runs']} runs in {found['audio_s']:.0f} s of speech took {found['time_share']:.3f} of the time; "
            f"{found['changed_words']} shown words changed, for {found['final_words']} final ones. A run was stopped within "
            f"{found['stop_p50_s']:.4f} s (median), {found['stop_p95_s']:.4f} s (95 %). {found['final_same']} of {found['utterances']} "
            "final texts are token for token those without."
        )
    return text


def _lengths(variant: Document) -> str:
    rows = [
        (
            f"{one['seconds']:.0f}",
            f"{one['pause_s']:g}",
            str(one["utterances"]),
            str(one["words"]),
            str(one["errors"]),
            str(one["lost"]),
            str(one["holes"]),
            str(one["holes_filled"]),
            f"{one['real_time_factor']:.4f}",
        )
        for one in variant["lengths"]
    ]
    head = ("s", "pauses s", "utterances", "words", "errors", "lost", "holes", "filled", "RTF")
    return f"## Long utterances, {variant['name']}\n\n{_table(head, rows)}" if rows else ""


def _pauses(pauses: Document) -> Iterator[str]:
    if not pauses:
        return
    note = (
        f"{pauses['sessions']} sessions of two recordings each, as they are and with a pause inside; in force: hangover "
        f"{pauses['now']['hangover_ms']} ms, seam {pauses['now']['seam']} ({pauses['now']['method']}). Against: errors and marks against "
        "those in force, in percentage points, 95 % by bootstrap of sessions. Marks: right letters, another mark or capital letter. The "
        "pauses were cut into the recordings; natural ones may differ."
    )
    head = ("utterances", "words", "errors", "marks", "against now", "s for seams")
    for kind in ("hangover", "seam"):
        rows = [
            (
                one["value"],
                str(one["utterances"]),
                str(one["words"]),
                str(one["errors"]),
                str(one["marks"]),
                f"{one['points']:+.2f} ({one['interval'][0]:+.2f} to {one['interval'][1]:+.2f})",
                f"{one['seam_s']:.2f}",
            )
            for one in pauses[kind]
        ]
        yield f"## {kind.capitalize()}\n\n{note}\n\n{_table((kind, *head), rows)}"


def _silence(silence: Document) -> str:
    if not silence:
        return ""
    rows = [
        (place, "none" if one["level_db"] is None else f"{one['level_db']}", str(one["words"]), str(one["errors"]))
        for place, key in (("in digital silence", "exact_silence"), ("in all of it", "whole_recording"))
        for one in silence[key]
    ]
    return (
        f"## Dither\n\nNoise in place of digital silence, of which coldvoxd uses {silence['now_db']} dBFS, and noise in whole recordings, "
        f"for which there is no setting.\n\n{_table(('noise', 'dBFS', 'words', 'errors'), rows)}"
    )


def _read(variants: Sequence[Document]) -> Iterator[str]:
    for one in variants:
        if page := one["page"]:
            rows = [
                (str(row["value"]), str(row["words"]), str(row["errors"]), f"{row['wer']:.1f}", str(row["utterances"]))
                for row in page["hangover"]
            ]
            head = ("hangover ms", "words", "errors", "WER %", "utterances")
            yield f"## The page that was read, {one['name']}\n\n{page['audio_s']:.0f} s of speech.\n\n{_table(head, rows)}"


def _maintainers(report: Document) -> str:
    """Return which statements of coldvoxd the figures settle, and what else each of them needs."""
    understood = (
        "" if report["understands"] else " These weights understand no speech: only files, speed and memory count."
    )
    return (
        "## For the maintainers\n\nWhat these figures say of statements that are marked “not tried here”, and what changes them."
        f"{understood}\n\n{_table(('statement', 'here', 'changes with'), statements(report))}"
    )


def _steps(report: Document) -> str:
    rows = [
        (one["step"], one["variant"], one["status"], f"{one['seconds']:.1f}", one["message"]) for one in report["steps"]
    ]
    return "## Steps\n\n" + _table(("step", "variant", "status", "s", ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(pipes(head, rows))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
