"""The mean of several stages' weights, each with a share (model soups, Wortsman et al. 2022).

Stages that went on from the same weights at a low rate lie in one basin of the loss: their mean is often better than
each of them on speech that none of them was trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from math import isclose
from pathlib import Path

import torch

from mini_parakeet.checkpoint import newest_weights, save

Weights = Mapping[str, torch.Tensor]


def mean(parts: list[tuple[Weights, float]]) -> dict[str, torch.Tensor]:
    """The weighted mean of all parameters; counters are the first part's.

    Raises ValueError if the shares are not 1 in sum.
    """
    if not isclose(sum(share for _, share in parts), 1.0, abs_tol=1e-6) or min(share for _, share in parts) < 0:
        raise ValueError("Shares must not be negative, and must be 1 in sum.")
    first, _ = parts[0]
    if any(weights.keys() != first.keys() for weights, _ in parts):
        raise ValueError("All stages must have the same parameters.")
    return {
        name: torch.stack([share * weights[name].double() for weights, share in parts]).sum(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }


def share_of(text: str) -> tuple[str, float]:
    """`STAGE=SHARE`."""
    stage, _, share = text.partition("=")
    return stage, float(share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", help="the stage whose checkpoint it becomes")
    parser.add_argument("parts", nargs="+", type=share_of, metavar="STAGE=SHARE")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    found = [(newest_weights(arguments.work, stage), share) for stage, share in arguments.parts]
    weights = mean([(one, share) for (one, _, _), share in found])
    save(arguments.work / f"{arguments.out}.pt", {"model": weights, "settings": found[0][0][1], "steps": 0})


if __name__ == "__main__":
    main()
