"""Draws a report as an SVG: the word error rate of each run with its interval, grouped by condition. Pure."""

import math
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from coldvoxd.core.visible_text import visible

Document = Mapping[str, Any]

WIDTH, LEFT, RIGHT, TOP, ROW = 860, 300, 90, 66, 22
PAPER, INK, GRID = "#ffffff", "#24292f", "#d5dadf"
COLOURS = ("#2a7f9e", "#d08a2e", "#6b8e3d", "#8c5fa8", "#b3454a", "#5b6b7a")
"""One per variant, repeated."""
_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 5


def svg(report: Document) -> str:
    """Return the plot as an SVG document."""
    height = TOP + ROW * len(report["runs"]) + 40
    size = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}"'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>'
    return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', paper, *_drawn(report), "</svg>\n"))


def tick_step(most: float) -> float:
    """Return the distance of the ticks, a round number, of an axis from 0 to `most`."""
    rough = max(most, 1e-6) / _TICKS
    decade = 10.0 ** math.floor(math.log10(rough))
    return next(decade * step for step in _STEPS if decade * step >= rough - 1e-12)


def _drawn(report: Document) -> Iterator[str]:
    runs = report["runs"]
    most = max((max(run["interval"][1], run["wer"]) for run in runs if run["wer"] is not None), default=0.0) or 1.0
    step = tick_step(most)
    end = step * math.ceil(most / step)
    bottom = TOP + ROW * len(runs)

    def x(rate: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * rate / end, 1)

    data = report["data"]
    yield f'<text x="12" y="22" font-size="15" font-weight="bold">Word error rate, %, of {data["clips"]} recordings</text>'
    method = f"Less is better. Lines: 95 %, bootstrap by {report['bootstrap']['unit']}. Normalization: {report['normalization']}."
    yield f'<text x="12" y="42">{escape(method)}</text>'
    for number in range(round(end / step) + 1):
        at = x(number * step)
        yield f'<line x1="{at}" y1="{TOP - 8}" x2="{at}" y2="{bottom}" stroke="{GRID}"/>'
        yield f'<text x="{at}" y="{bottom + 18}" text-anchor="middle">{number * step:g}</text>'
    variants = list(dict.fromkeys(run["variant"] for run in runs))
    conditions = list(dict.fromkeys(_condition(run) for run in runs))
    for row, run in enumerate(sorted(runs, key=lambda run: conditions.index(_condition(run)))):
        yield from _bar(run, TOP + ROW * row, x, COLOURS[variants.index(run["variant"]) % len(COLOURS)])


def _condition(run: Document) -> tuple[str | None, float | None]:
    return run["noise"], run["snr_db"]


def _bar(run: Document, top: int, x: Callable[[float], float], colour: str) -> Iterator[str]:
    middle = top + ROW / 2
    yield f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(visible(run["name"]))}</text>'
    if run["wer"] is None:
        yield f'<text x="{LEFT + 6}" y="{middle + 4}">nothing was recognized</text>'
        return
    (low, high), end = run["interval"], x(run["wer"])
    yield f'<rect x="{LEFT}" y="{top + 3}" width="{max(end - LEFT, 0.5):.1f}" height="{ROW - 6}" fill="{colour}"/>'
    yield f'<line x1="{x(low)}" y1="{middle}" x2="{x(high)}" y2="{middle}" stroke="{INK}" stroke-width="1.5"/>'
    yield f'<text x="{x(max(high, run["wer"])) + 6}" y="{middle + 4}">{run["wer"]:.2f}</text>'
