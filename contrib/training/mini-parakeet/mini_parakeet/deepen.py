"""One encoder layer more, which changes nothing at first: training goes on from what the shallower model can do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from mini_parakeet.checkpoint import newest_weights, save
from mini_parakeet.model import MiniParakeet, ModelSettings

SILENCED = ("before.3.weight", "attention.out.weight", "convolution.out.weight", "after.3.weight")
"""What each half of a layer is multiplied with before it is added: zero at first."""
FINAL_NORM = "norms.4"


def deepened(
    weights: dict[str, torch.Tensor], settings: dict[str, Any]
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The weights and settings of a model with one layer more and, at first, the same outputs.

    The new layer is a copy of the last one whose four parts add nothing (as the identity blocks of Net2Net, Chen et al.
    2016). It takes over the scale and shift of the last one's final layer norm; to normalize twice changes nothing.
    """
    last = settings["layers"] - 1
    before, after = f"encoder.layers.{last}.", f"encoder.layers.{last + 1}."
    grown = dict(weights)
    for name, value in weights.items():
        if name.startswith(before):
            part = name.removeprefix(before)
            grown[after + part] = torch.zeros_like(value) if part in SILENCED else value.clone()
    grown[f"{before}{FINAL_NORM}.weight"] = torch.ones_like(weights[f"{before}{FINAL_NORM}.weight"])
    grown[f"{before}{FINAL_NORM}.bias"] = torch.zeros_like(weights[f"{before}{FINAL_NORM}.bias"])
    return grown, {**settings, "layers": last + 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", help="the stage whose weights it begins with")
    parser.add_argument("out", help="the stage whose checkpoint it becomes")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    found, found_settings, _ = newest_weights(arguments.work, arguments.stage)
    weights, settings = deepened(found, found_settings)
    MiniParakeet(ModelSettings(**settings)).load_state_dict(weights)
    save(arguments.work / f"{arguments.out}.pt", {"model": weights, "settings": settings, "steps": 0})


if __name__ == "__main__":
    main()
