"""coldvoxctl doctor --first-run as a process, and a document of figures for what is made of them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coldvoxd.models.directories import bundled_directory

ROOT = Path(__file__).parents[2]
COMMAND = ("doctor", "--first-run")
FILES = ("config.json", "vocab.txt", "encoder-model.onnx", "decoder_joint-model.onnx")


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment without any settings of the caller."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "COLDVOXD_"))}
    return {**outer, "HOME": str(home), "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


def start(*arguments: str | Path, home: Path, before: str = "", **more: Any) -> "subprocess.Popen[str]":
    """Start `coldvoxctl doctor --first-run` in `home`; `before` is Python that runs before it, in the same process."""
    program = f"{before}\nimport sys\nfrom coldvoxd.cli.main import main\nsys.exit(main())"
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-c", program, *COMMAND, *map(str, arguments)],
        cwd=home,
        env=environment(home),
        text=True,
        **options,
    )


def report_in(home: Path, name: str = "coldvoxd-first-run") -> tuple[dict[str, Any], str]:
    """Return the report as JSON and as a page."""
    found = json.loads((home / f"{name}.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found, (home / f"{name}.md").read_text("utf-8")


def copy_of_mini(place: Path) -> Path:
    """Copy the bundled model in fp32, as a model that was placed by hand."""
    place.mkdir(parents=True)
    for name in FILES:
        shutil.copy(bundled_directory() / name, place / name)
    return place


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started, proc(5)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def row(
    value: str, errors: int, interval: tuple[float, float], *, utterances: int = 40, seam_s: float = 0.0
) -> dict[str, Any]:
    """Return a row of a table of hangovers or seams, over 200 words."""
    points = round(sum(interval) / 2, 2)
    return {
        "value": value,
        "utterances": utterances,
        "words": 200,
        "errors": errors,
        "marks": 0,
        "points": points,
        "interval": list(interval),
        "recognition_s": 1.0,
        "seam_s": seam_s,
    }


def measured(
    precision: str, provider: str = "cpu", *, p50_s: float = 0.3, errors: int = 0, lost: int = 0
) -> dict[str, Any]:
    """Return a variant of a report."""
    return {
        "name": f"{precision} on {provider}",
        "precision": precision,
        "provider": provider,
        "prepared": False,
        "longest_s": 15.0 if precision == "int8" else None,
        "load": {"load_s": 1.0},
        "speech": {"errors": errors, "words": 97, "golden_is_fair": True},
        "speed": {"p50_s": p50_s, "resident_mib": 900 if precision == "int8" else 2600},
        "page": {},
        "lengths": [{"seconds": 10.0, "words": 50, "lost": lost}],
    }


def document(**parts: Any) -> Mapping[str, Any]:
    """Return a report in which no figure speaks for another setting, but for these parts."""
    settings = {"provider": "auto", "precision": "auto", "partials": False, **parts.pop("settings", {})}
    pauses = {
        "now": {"hangover_ms": 500, "seam": "auto", "method": "window"},
        "model_method": "window",
        "hangover": [row("300", 30, (1.0, 4.0)), row("500", 20, (0.0, 0.0)), row("800", 20, (-1.0, 1.0))],
        "seam": [row("window", 20, (0.0, 0.0), seam_s=1.0), row("state", 24, (0.5, 3.0)), row("off", 60, (9.0, 30.0))],
        **parts.pop("pauses", {}),
    }
    plain = {
        "machine": {"busy_share": parts.pop("busy_share", 0.0)},
        "understands": True,
        "settings": settings,
        "pauses": pauses,
        "variants": [measured("fp32")],
        "partials": {},
    }
    return {**plain, **parts}
