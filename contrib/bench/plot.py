"""Draws a run's ratios as an SVG: one bar per figure, as long as our share of the peer's value, with a goal mark."""

from collections.abc import Iterator
from html import escape
from typing import Any

from contrib.bench.figures import Figure

WIDTH, LEFT, RIGHT, TOP, ROW = 860, 360, 60, 64, 18
PAPER, INK, GRID, REACHED, MISSED, GOAL = "#ffffff", "#24292f", "#c8ced4", "#2a7f9e", "#d08a2e", "#b3261e"
FAINTEST_SCALE = 1.25
"""Minimum end of the axis, so that the peer's 1 is visible inside it."""


def bars(document: dict[str, Any]) -> str:
    """Draw all figures that have a ratio and a goal, in their order."""
    shown = [figure for entry in document["figures"] if _is_shown(figure := Figure(**entry))]
    height = TOP + ROW * len(shown) + 34
    size = f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11" fill="{INK}"'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>'
    return "\n".join((f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', paper, *_drawn(document, shown), "</svg>\n"))


def _is_shown(figure: Figure) -> bool:
    return figure.ratio is not None and figure.goal is not None


def _drawn(document: dict[str, Any], shown: list[Figure]) -> Iterator[str]:
    machine = document["machine"]
    title = f"coldvoxd's share of what the peer takes: model {document['model']}"
    yield f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>'
    where = (
        f"{machine['processor']}, {machine['cores']} cores. Less is better; the red mark is the goal, 1 is the peer."
    )
    yield f'<text x="12" y="42">{escape(where)}</text>'
    scale = max([FAINTEST_SCALE, *(figure.ratio or 0.0 for figure in shown)])
    bottom = TOP + ROW * len(shown)

    def x(ratio: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ratio / scale, 1)

    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        strong = INK if tick == 1 else GRID
        yield f'<line x1="{x(tick)}" y1="{TOP - 6}" x2="{x(tick)}" y2="{bottom}" stroke="{strong}"/>'
        yield f'<text x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>'
    for row, figure in enumerate(shown):
        top, ratio, goal = TOP + ROW * row, figure.ratio or 0.0, figure.goal or 0.0
        name = f"{figure.figure} ({figure.peer_name})"
        colour = REACHED if figure.reached else MISSED
        yield f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect x="{LEFT}" y="{top + 2}" width="{x(ratio) - LEFT:.1f}" height="{ROW - 6}" fill="{colour}"/>'
        yield f'<line x1="{x(goal)}" y1="{top}" x2="{x(goal)}" y2="{top + ROW - 2}" stroke="{GOAL}" stroke-width="2"/>'
        yield f'<text x="{x(max(ratio, goal)) + 5}" y="{top + 12}">{ratio:.2f}</text>'
