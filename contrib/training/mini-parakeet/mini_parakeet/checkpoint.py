"""Checkpoints of stages: reading them, and a small one of the round in progress that is kept in the repository."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mini_parakeet.model import MiniParakeet, ModelSettings


def load_model(path: Path) -> MiniParakeet:
    """The model of a checkpoint, ready to be used."""
    stored = torch.load(path, weights_only=True)
    model = MiniParakeet(ModelSettings(**stored["settings"]))
    model.load_state_dict(stored["model"])
    model.eval()
    return model


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint in one piece."""
    part = path.with_suffix(".part")
    torch.save(content, part)
    part.replace(path)


def newest_weights(work: Path, stage: str) -> tuple[dict[str, torch.Tensor], dict[str, Any], int]:
    """Weights, settings and step of a stage: the average of the running one, or the finished one."""
    running = work / f"{stage}.running.pt"
    stored = torch.load(running if running.exists() else work / f"{stage}.pt", weights_only=True)
    return stored.get("average", stored["model"]), stored["settings"], stored.get("step", stored.get("steps", 0))


def write_small(path: Path, weights: dict[str, torch.Tensor], settings: dict[str, Any], step: int) -> None:
    """Weights as float16 and all that `read_small` needs, without the CTC head, which round four doesn't train."""
    kept = {name: value for name, value in weights.items() if not name.startswith("ctc.")}
    arrays: dict[str, Any] = {
        name: value.numpy().astype(np.float16) if value.is_floating_point() else value.numpy()
        for name, value in kept.items()
    }
    about = json.dumps({"settings": settings, "step": step})
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, about=np.array(about), **arrays)


def read_small(path: Path) -> tuple[MiniParakeet, int]:
    """The model of a small checkpoint, float32, with a CTC head of zeros, and its step."""
    with np.load(path) as stored:
        about = json.loads(str(stored["about"]))
        model = MiniParakeet(ModelSettings(**about["settings"]))
        weights = {name: torch.from_numpy(stored[name]) for name in stored.files if name != "about"}
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items() if name.startswith("ctc.")}
    state |= {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    model.load_state_dict(state)
    model.eval()
    return model, about["step"]


def restore(path: Path, work: Path, stage: str) -> int:
    """Make a stage go on from a small checkpoint, with a fresh optimizer; returns the step.

    Raises FileExistsError where the stage has begun.
    """
    running = work / f"{stage}.running.pt"
    if running.exists() or (work / f"{stage}.pt").exists():
        raise FileExistsError(f"{running.stem} has begun in {work}: remove its files to go on from {path}")
    model, step = read_small(path)
    work.mkdir(parents=True, exist_ok=True)
    save(running, {"model": model.state_dict(), "step": step, "spent_s": 0.0, "settings": model.settings.as_dict()})
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    saving = commands.add_parser("save", help="write the newest averaged weights of a stage to FILE")
    loading = commands.add_parser("load", help="make a stage go on from FILE")
    for name in ("work", "stage", "file"):
        saving.add_argument(name)
    for name in ("file", "work", "stage"):
        loading.add_argument(name)
    arguments = parser.parse_args()
    path, work = Path(arguments.file), Path(arguments.work)
    if arguments.command == "save":
        weights, settings, step = newest_weights(work, arguments.stage)
        write_small(path, weights, settings, step)
    else:
        step = restore(path, work, arguments.stage)
    print(f"{path}: step {step}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
