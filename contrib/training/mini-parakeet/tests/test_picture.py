from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mini_parakeet.picture import SETS, lines_of, points_of, svg, x_of, y_of


def rows(percent: float) -> list[dict[str, object]]:
    return [
        {"name": f"{SETS[0]} (120), {pause_s} s in the audio: {what}", "value": percent + pause_s}
        for pause_s in (2.5, 0.3)
        for what in ("same words", "seam right (of 9)")
    ]


def test_a_line_has_the_figures_of_its_set_by_pause() -> None:
    assert points_of(rows(40), SETS[0]) == [(0.3, 40.3), (2.5, 42.5)]
    assert points_of(rows(40), SETS[1]) == []


def test_the_drawing_shows_both_reports() -> None:
    root = ElementTree.fromstring(svg(list(lines_of(rows(10), rows(80))), "Title & text"))
    texts = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert {"Title & text", "natural voices, before", "natural voices, now"} <= {*texts}
    paths = [element.get("d") for element in root.iter() if element.get("stroke-width")]
    assert f"M{x_of(0.3):.1f} {y_of(10.3):.1f}L{x_of(2.5):.1f} {y_of(12.5):.1f}" in paths


def test_reports_without_pauses_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        svg([], "")
