"""The file with the progress of a download: written by coldvoxctl in its unit, read by the daemon."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.text_formats import json_value
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.private import create_private

RUNTIME_DIRECTORY = "coldvoxd-model"
FILE = "progress.json"
INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class ToldProgress:
    """The content of the file."""

    model: str
    precision: str
    state: str
    """One of FetchState's values."""
    fraction: float
    bytes: int
    total_bytes: int
    message: str
    """What the download waits for, or what failed."""


def progress_file() -> Path | None:
    """The path of the file; None without a runtime directory."""
    runtime = base_directories.runtime_directory()
    return runtime / RUNTIME_DIRECTORY / FILE if runtime else None


def read_progress(path: Path) -> ToldProgress | None:
    """The last progress; None if the file is missing or unreadable."""
    try:
        content = json_value(path.read_text("utf-8"))
        return ToldProgress(
            str(content["model"]),
            str(content["precision"]),
            str(content["state"]),
            float(content["fraction"]),
            int(content["bytes"]),
            int(content["total_bytes"]),
            str(content["message"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


class ProgressWriter:
    """Replaces the file for each hundredth, each change of state, and four times a second. Never raises."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = ("", "", -1)
        self._due_s = 0.0

    def __call__(self, told: ToldProgress) -> None:
        """Write the progress, unless only the bytes have changed and the last write was just before."""
        now_s = time.monotonic()
        kind = (told.state, told.message, round(100 * told.fraction))
        if kind == self._last and now_s < self._due_s:
            return
        self._last, self._due_s = kind, now_s + INTERVAL_S
        fields = {name: getattr(told, name) for name in ToldProgress.__slots__}
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with os.fdopen(create_private(new), "w", encoding="utf-8") as file:
                file.write(json.dumps(fields) + "\n")
            new.replace(self._path)
        except OSError:
            return  # the download continues; the daemon shows no progress
