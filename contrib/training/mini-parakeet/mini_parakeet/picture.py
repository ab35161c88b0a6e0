"""Draws clips whose words stay the same against the length of the pause, from two reports of `judge`, as SVG."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

SETS = ("natural voices, inside sentences", "espeak voices, inside sentences", "human orders, inside sentences")
COLOURS = ("#0b6e99", "#b3541e", "#4b7f2b")
WIDTH, HEIGHT = 720, 400
LEFT, TOP, RIGHT, BOTTOM = 60, 50, 230, 50
"""Margins; the legend is in the right one."""
LONGEST_S = 2.7
ROW = re.compile(r"(?P<set>.+?) \(\d+\), (?P<pause>[\d.]+) s in the audio: same words")

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    colour: str
    points: Points
    """Seconds of pause and percent of clips."""
    dashed: bool


def points_of(rows: list[Mapping[str, object]], wanted: str) -> Points:
    """The figures of one set by pause, from the rows of a report."""
    found = []
    for row in rows:
        match = ROW.fullmatch(str(row["name"]))
        if match and match["set"] == wanted:
            found.append((float(match["pause"]), float(str(row["value"]))))
    return sorted(found)


def lines_of(before: list[Mapping[str, object]], after: list[Mapping[str, object]]) -> Iterator[Line]:
    for name, colour in zip(SETS, COLOURS, strict=True):
        for when, rows, dashed in (("before", before, True), ("now", after, False)):
            if points := points_of(rows, name):
                yield Line(f"{name.split(',')[0]}, {when}", colour, points, dashed)


def x_of(pause_s: float) -> float:
    return LEFT + pause_s / LONGEST_S * (WIDTH - LEFT - RIGHT)


def y_of(percent: float) -> float:
    return HEIGHT - BOTTOM - percent / 100 * (HEIGHT - TOP - BOTTOM)


def svg(lines: list[Line], title: str) -> str:
    """The drawing. Raises ValueError without lines."""
    if not lines:
        raise ValueError("the reports have no rows with pauses inside sentences")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="26" font-size="15">{escape(title)}</text>',
    ]
    for percent in range(0, 101, 20):
        y = y_of(percent)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent} %</text>')
    for pause_s in (0.5, 1.0, 1.5, 2.0, 2.5):
        parts.append(
            f'<text x="{x_of(pause_s):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{pause_s} s</text>'
        )
    parts.append(f'<text x="{x_of(1.35):.1f}" y="{HEIGHT - 10}" text-anchor="middle">pause between two words</text>')
    for row, line in enumerate(lines):
        path = "L".join(f"{x_of(pause_s):.1f} {y_of(percent):.1f}" for pause_s, percent in line.points)
        look = f'stroke="{line.colour}" stroke-width="2" fill="none"' + (
            ' stroke-dasharray="5 4"' if line.dashed else ""
        )
        parts.append(f'<path d="M{path}" {look}/>')
        y = TOP + 10 + 22 * row
        parts.append(f'<path d="M{WIDTH - RIGHT + 20} {y}h30" {look}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 58}" y="{y + 4}">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path, help="report of `judge` with the earlier weights")
    parser.add_argument("after", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--column", default="onnx-asr fp32")
    arguments = parser.parse_args()
    before, after = (
        json.loads(path.read_text(encoding="utf-8"))[arguments.column] for path in (arguments.before, arguments.after)
    )
    title = "Clips whose words stay the same with a pause in mid-sentence"
    arguments.picture.write_text(svg(list(lines_of(before, after)), title), encoding="utf-8")


if __name__ == "__main__":
    main()
