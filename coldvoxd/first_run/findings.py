"""What the result of a step means, in one line for a person."""

from collections.abc import Mapping
from typing import Any

from coldvoxd.core.sizes import size_text
from coldvoxd.doctor.finding import Finding, fail, ok, warn
from coldvoxd.first_run.conducting import NOT_UNDERSTOOD, WHY_NOT_UNDERSTOOD, Status, StepResult
from coldvoxd.first_run.model_on_disk import AGREES, DIFFERS
from coldvoxd.first_run.planning import CPU, Step, Variant

Figures = Mapping[str, Any]
LOST_SHARE = 0.05
"""A length at which this share of the words is lost is reported."""
PULL = "download it again: coldvoxctl model remove NAME, then coldvoxctl model pull NAME"
REPAIR = "copy the files here again, or download a published model again; `coldvoxctl model verify` checks them"
REPORT = "please attach the report to an issue"


def finding_of(result: StepResult) -> Finding | None:
    """Return the finding of a step; None for one that was left out because the weights understand no speech."""
    task, part = result.task, str(result.task.step)
    where = f"{task.variant.name}: " if task.variant else ""
    match result.status:
        case Status.LEFT_OUT if result.message == WHY_NOT_UNDERSTOOD:
            return None
        case Status.LEFT_OUT:
            return warn(part, f"{where}left out: {result.message}")
        case Status.FAILED if task.variant is None or task.variant.provider == CPU:
            return fail(part, f"{where}{result.message}", REPORT)
        case Status.FAILED:
            return warn(part, f"{where}{result.message}")
    figures = result.figures
    found = _files(figures) if task.variant is None else _FINDINGS[task.step](figures, task.variant)
    some = f" ({result.message} in the time)" if result.status is Status.PART else ""
    return Finding(part, found.verdict, f"{where}{found.text}{some}", found.remedy)


def _files(figures: Figures) -> Finding:
    files = figures["files"]
    if damaged := figures["damaged"]:
        faults = "; ".join(f"{precision}: {fault}" for precision, fault in damaged.items())
        return fail("files", f"{faults}. It is left out", REPAIR)
    wrong = [one["name"] for one in files if DIFFERS in {one["pinned"], one["recorded"]}]
    if wrong:
        return fail("files", f"{', '.join(wrong)}: size or hash is not the known one", PULL)
    known = sum(AGREES in {one["pinned"], one["recorded"]} for one in files)
    size = size_text(sum(one["bytes"] for one in files))
    if not known:
        return ok(
            "files", f"{len(files)} files, {size}; their hashes are not known: `coldvoxctl model verify` records them"
        )
    return ok("files", f"{len(files)} files, {size}; sizes and hashes of {known} are known, and agree")


def _load(figures: Figures, _: Variant) -> Finding:
    device = f" on {figures['device']}" if figures["device"] else ""
    return ok(
        "load",
        f"loaded in {figures['load_s']:.1f} s{device}; {figures['loaded_mib']} MiB, at most {figures['load_peak_mib']} MiB meanwhile",
    )


def _speech(figures: Figures, variant: Variant) -> Finding:
    words, errors = figures["words"], figures["errors"]
    rate = f"{errors} errors in {words} words of {figures['recordings']} recordings"
    golden = f"{figures['golden_errors']} errors in {figures['golden_words']} words"
    if variant.provider != CPU and not figures["golden_as_fp32"]:
        return warn(
            "speech",
            f"the golden clip has other words than on the CPU ({golden}); {rate}",
            "the daemon does not use it",
        )
    if errors >= NOT_UNDERSTOOD * words:
        return fail(
            "speech",
            f"the golden clip's text is wrong ({golden}): these weights do not understand speech ({rate}). Speed and memory are "
            "measured nevertheless",
            "random, damaged or foreign weights? Of another language than English this is expected",
        )
    if not figures["golden_is_fair"]:
        return fail("speech", f"the golden clip's text is wrong ({golden}), although there are only {rate}", REPORT)
    return ok("speech", f"golden clip: {golden}; {rate}")


def _speed(figures: Figures, _: Variant) -> Finding:
    times = 1 / figures["real_time_factor"]
    gpu = f", {figures['gpu_mib']} MiB of the GPU" if figures["gpu_mib"] is not None else ""
    return ok(
        "speed",
        f"3 s of speech take {figures['p50_s']:.3f} s (95 %: {figures['p95_s']:.3f} s), {times:.{0 if times >= 10 else 1}f} times "
        f"real time; {figures['long_s']:.0f} s take {figures['long_run_s']:.2f} s; memory {figures['resident_mib']} MiB, at most "
        f"{figures['peak_mib']} MiB{gpu}",
    )


def _page(figures: Figures, _: Variant) -> Finding:
    now = next(one for one in figures["hangover"] if one["value"] == figures["now_ms"])
    return ok(
        "page", f"{now['errors']} errors in {now['words']} words ({now['wer']:.1f} %), {now['utterances']} utterances"
    )


def _lengths(figures: Figures, _: Variant) -> Finding:
    rows = figures["rows"]
    bad = [one for one in rows if one["lost"] >= LOST_SHARE * one["words"]]
    holes = f"{sum(one['holes'] for one in rows)} holes, {sum(one['holes_filled'] for one in rows)} filled"
    if bad:
        lengths = ", ".join(f"{one['lost']} of {one['words']} at {one['seconds']:.0f} s" for one in bad)
        return warn("lengths", f"words are lost in long utterances: {lengths}; {holes}", REPORT)
    return ok("lengths", f"no length up to {max(one['seconds'] for one in rows):.0f} s loses words; {holes}")


def _pauses(figures: Figures, _: Variant) -> Finding:
    hangovers = ", ".join(f"{one['value']} ms {one['errors'] + one['marks']}" for one in figures["hangover"])
    seams = ", ".join(f"{one['value']} {one['errors'] + one['marks']}" for one in figures["seam"])
    return ok(
        "pauses", f"errors and marks in {figures['sessions']} sessions, by hangover: {hangovers}; by seam: {seams}"
    )


def _silence(figures: Figures, _: Variant) -> Finding:
    rows = {one["level_db"]: one["errors"] for one in figures["exact_silence"]}
    now = rows[figures["now_db"]]
    shown = ", ".join(f"{'none' if level is None else f'{level} dBFS'} {errors}" for level, errors in rows.items())
    text = f"errors with digital silence, by noise in it: {shown}"
    if now > min(rows.values()) + 1:
        return warn("silence", f"{text}; coldvoxd uses {figures['now_db']} dBFS", REPORT)
    return ok("silence", text)


def _partials(figures: Figures, _: Variant) -> Finding:
    text = (
        f"words during speech: {figures['runs']} runs take {100 * figures['time_share']:.0f} % of the time, one is stopped within "
        f"{1000 * figures['stop_p95_s']:.0f} ms (95 %); {figures['final_same']} of {figures['utterances']} final texts are the same"
    )
    if figures["final_same"] < figures["utterances"]:
        return fail("partials", text, REPORT)
    return ok("partials", text)


def _peer(figures: Figures, _: Variant) -> Finding:
    text = (
        f"{figures['engine']}: {figures['recordings'] - figures['other_tokens']} of {figures['recordings']} recordings have the same "
        f"tokens, {figures['other_frames']} of them at other frames"
    )
    return warn("peer", text, REPORT) if figures["other_tokens"] else ok("peer", text)


_FINDINGS = {
    Step.LOAD: _load,
    Step.SPEECH: _speech,
    Step.SPEED: _speed,
    Step.PAGE: _page,
    Step.LENGTHS: _lengths,
    Step.PAUSES: _pauses,
    Step.SILENCE: _silence,
    Step.PARTIALS: _partials,
    Step.PEER: _peer,
}
