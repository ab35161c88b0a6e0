"""Settings that the figures of a first run support. Pure.

A value is proposed if the 95 % interval of its difference from the one in force is on one side of zero, or if it costs nothing that
can be seen and saves time. Otherwise nothing is proposed: some dozens of sessions decide no half percent.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from coldvoxd.core.seams import AUTO

Document = Mapping[str, Any]
Row = Mapping[str, Any]
LEAST_WORDS = 150
"""With fewer words nothing is proposed from errors."""
SAME_POINTS = 0.5
"""A value that has at most this many percentage points more, at the upper end of its interval, costs nothing that can be seen."""
SLOW_S = 0.5
"""If 3 s of speech take less than this in fp32, int8 is not proposed for its speed."""
INT8_GAIN = 1.5
GPU_GAIN = 1.1
"""How many times as fast another choice must be, at least."""
SEAM_SAVES_S = 0.05
"""Seconds per utterance that another method of seams must save."""
PARTIALS_SLOW_S = 1.0
BUSY_SHARE = 0.25
"""If other programs took this share of the processors, times are no ground for a proposal."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A setting, and the figure that supports it."""

    key: str
    value: str
    reason: str

    @property
    def command(self) -> str:
        """The command that sets it."""
        return f"coldvoxctl config set {self.key} {self.value}"


def proposals(document: Document) -> list[Proposal]:
    """Return the proposals; none if the weights do not understand speech."""
    if not document["understands"]:
        return []
    of_words = [*_hangover(document), *_seam(document)]
    if document["machine"]["busy_share"] >= BUSY_SHARE:
        return of_words
    return [*of_words, *_precision(document), *_provider(document), *_partials(document)]


def _hangover(document: Document) -> Iterator[Proposal]:
    pauses = document["pauses"]
    if not pauses or not pauses["hangover"] or pauses["hangover"][0]["words"] < LEAST_WORDS:
        return
    rows, now = pauses["hangover"], str(pauses["now"]["hangover_ms"])
    base = next(row for row in rows if row["value"] == now)
    better = [row for row in rows if row["interval"][1] < 0]
    shorter = [row for row in rows if int(row["value"]) < int(now) and row["interval"][1] <= SAME_POINTS]
    if better:
        chosen = min(better, key=lambda row: (row["errors"] + row["marks"], int(row["value"])))
    elif shorter:
        chosen = min(shorter, key=lambda row: int(row["value"]))
    else:
        return
    later = int(chosen["value"]) - int(now)
    reason = (
        f"{_against(chosen, base, f'{now} ms')}; each text comes {abs(later)} ms {'later' if later > 0 else 'earlier'}"
    )
    yield Proposal("endpoint.hangover_ms", chosen["value"], reason)


def _seam(document: Document) -> Iterator[Proposal]:
    pauses = document["pauses"]
    if not pauses or not pauses["seam"] or pauses["seam"][0]["words"] < LEAST_WORDS:
        return
    now, model_method = pauses["now"]["method"], pauses["model_method"]
    base = next(row for row in pauses["seam"] if row["value"] == now)
    better = [row for row in pauses["seam"] if row["interval"][1] < 0]
    cheaper = [
        row
        for row in pauses["seam"]
        if row["interval"][1] <= SAME_POINTS and _per_utterance(row) + SEAM_SAVES_S <= _per_utterance(base)
    ]
    chosen = min(better, key=lambda row: row["errors"] + row["marks"]) if better else None
    reason = ""
    if chosen is not None:
        reason = _against(chosen, base, now)
    elif cheaper:
        chosen = min(cheaper, key=_per_utterance)
        reason = (
            f"{_against(chosen, base, now)}, and an utterance after a pause takes {_per_utterance(base) - _per_utterance(chosen):.2f} s "
            "less"
        )
    if chosen is not None:
        yield Proposal("dictation.seam", AUTO if chosen["value"] == model_method else chosen["value"], reason)


def _precision(document: Document) -> Iterator[Proposal]:
    fp32, int8 = _variant(document, "fp32"), _variant(document, "int8")
    if fp32 is None or int8 is None or document["settings"]["precision"] == "int8":
        return
    slow, fast = fp32["speed"]["p50_s"], int8["speed"]["p50_s"]
    is_equal = int8["speech"]["errors"] <= fp32["speech"]["errors"] and int8["speech"]["golden_is_fair"]
    loses = any(
        row["lost"] > 0.05 * row["words"]
        for row in int8["lengths"]
        if row["seconds"] <= (int8["longest_s"] or math.inf)
    )
    if slow >= SLOW_S and fast * INT8_GAIN <= slow and is_equal and not loses:
        yield Proposal(
            "model.precision",
            "int8",
            f"3 s of speech take {fast:.2f} s instead of {slow:.2f} s, memory is {int8['speed']['resident_mib']} MiB instead of "
            f"{fp32['speed']['resident_mib']} MiB, with {int8['speech']['errors']} word errors against {fp32['speech']['errors']} in "
            f"{fp32['speech']['words']} words; a few dozen sentences do not prove that int8 is as accurate",
        )


def _provider(document: Document) -> Iterator[Proposal]:
    chosen = document["settings"]["provider"]
    on_cpu = [one for one in document["variants"] if one["provider"] == "cpu" and one["speed"]]
    others = [
        one
        for one in document["variants"]
        if one["provider"] != "cpu" and one["speed"] and one["speech"] and one["speech"]["golden_is_fair"]
    ]
    if not on_cpu:
        return
    cpu = min(on_cpu, key=lambda one: one["speed"]["p50_s"])
    if others:
        best = min(others, key=lambda one: one["speed"]["p50_s"])
        times = f"3 s of speech take {best['speed']['p50_s']:.3f} s on {best['provider']}, {cpu['speed']['p50_s']:.3f} s on the CPU"
        if chosen == "cpu" and best["speed"]["p50_s"] * GPU_GAIN <= cpu["speed"]["p50_s"]:
            yield Proposal("model.provider", "auto", times)
        own = next((one for one in others if one["provider"] == chosen), None)
        if own is not None and own["speed"]["p50_s"] > cpu["speed"]["p50_s"] * GPU_GAIN:
            yield Proposal("model.provider", "auto", f"{chosen} is slower than the CPU here: {times}")


def _partials(document: Document) -> Iterator[Proposal]:
    found = document["partials"]
    if found and document["settings"]["partials"] and found["run_s"] and found["run_s"] > PARTIALS_SLOW_S:
        reason = f"a run takes {found['run_s']:.1f} s, so words appear late, and the processor is busy {100 * found['time_share']:.0f} % of the time"
        yield Proposal("dictation.partials", "false", reason)


def _variant(document: Document, precision: str) -> Row | None:
    """Return the variant on the CPU, from the model's own files, if it was measured."""
    for one in document["variants"]:
        if (one["precision"], one["provider"], one["prepared"]) == (precision, "cpu", False):
            return one if one["speed"] and one["speech"] else None
    return None


def _against(row: Row, base: Row, now: str) -> str:
    low, high = row["interval"]
    return (
        f"{row['errors'] + row['marks']} errors and marks in {row['words']} words, {base['errors'] + base['marks']} with {now} "
        f"({row['points']:+.1f} points, 95 % {low:+.1f} to {high:+.1f})"
    )


def _per_utterance(row: Row) -> float:
    return float(row["seam_s"]) / max(1, int(row["utterances"]))
