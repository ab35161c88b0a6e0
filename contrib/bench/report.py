"""Writes a run's figures: JSON to keep, and a table in Markdown."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from contrib.bench.figures import Figure


def merged(path: Path, document: dict[str, Any], fresh: Iterable[Figure]) -> dict[str, Any]:
    """Return the document with the new figures merged into those of the same run that `path` already has."""
    figures = {_key(figure.as_dict()): figure.as_dict() for figure in fresh}
    commands = {each["command"]: each for each in document["commands"]}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        figures = {_key(figure): figure for figure in before["figures"]} | figures
        commands = {each["command"]: each for each in before["commands"]} | commands
    return document | {"commands": list(commands.values()), "figures": list(figures.values())}


def markdown(document: dict[str, Any]) -> str:
    """Return a table, one row per figure."""
    machine = document["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; model {document['model']}",
        "",
        *(
            f"- `{each['command']}`: {each['processor_share_of_others']:.0%} of the processors went to other programs"
            for each in document["commands"]
        ),
        "",
        "| figure | ours | peer | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    for entry in document["figures"]:
        figure = Figure(**entry)
        peer = "" if figure.peer is None else f"{number(figure.peer)} ({figure.peer_name})"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        goal = "" if figure.goal is None else f"{figure.goal:g}{'' if figure.reached else ' **missed**'}"
        lines.append(f"| {figure.figure} | {number(figure.ours)} {figure.unit} | {peer} | {ratio} | {goal} |")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Format with three significant digits, without an exponent."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def _key(figure: dict[str, Any]) -> tuple[str, str | None]:
    return figure["figure"], figure["peer_name"]
