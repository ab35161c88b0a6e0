"""Trials of accelerators by `auto`, stored in the cache by what they depend on."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from coldvoxd.core.provider_trial import Trial
from coldvoxd.core.text_formats import json_value
from coldvoxd.models.json_file import write_json
from coldvoxd.userdirs.accelerator_cache import accelerator_cache

VERSION = "1"
"""Must be raised when a trial measures something else."""


def trial_path(*identity: str) -> Path | None:
    """The file of a trial that depends on these: model, provider, device, driver, versions. None if nothing can be stored."""
    directory = accelerator_cache()
    if directory is None:
        return None
    key = hashlib.sha256("\0".join((VERSION, *identity)).encode()).hexdigest()[:32]
    return directory / "trials" / f"{key}.json"


def read_trial(path: Path | None, now_s: float) -> Trial | None:
    """The stored trial; None if there is none that still counts."""
    if path is None:
        return None
    try:
        trial = Trial(**json_value(path.read_text("utf-8")))
        return trial if trial.counts_at(now_s) else None
    except (OSError, ValueError, TypeError):
        return None


def write_trial(path: Path | None, trial: Trial) -> None:
    """Store a trial, and delete those that no longer count. Raises OSError."""
    if path is None:
        return
    for other in path.parent.glob("*.json"):
        if other != path and read_trial(other, trial.taken_s) is None:
            other.unlink(missing_ok=True)
    write_json(path, asdict(trial))


def stored_trials(now_s: float) -> Iterator[Trial]:
    """All trials that still count, the newest first."""
    directory = accelerator_cache()
    if directory is None:
        return
    found = [trial for path in (directory / "trials").glob("*.json") if (trial := read_trial(path, now_s)) is not None]
    yield from sorted(found, key=lambda trial: -trial.taken_s)
