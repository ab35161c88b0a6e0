from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from mini_parakeet.tdt_loss import DURATIONS, tdt_loss


def by_enumeration(logits: torch.Tensor, labels: list[int], frames: int, sigma: float) -> float:
    """Minus the log of the summed probability of every path, walked one by one."""
    classes = logits.shape[-1] - len(DURATIONS)
    tokens = torch.log_softmax(logits[..., :classes], -1) - sigma
    durations = torch.log_softmax(logits[..., classes:], -1)
    totals: list[float] = []

    def walk(frame: int, emitted: int, score: float) -> None:
        if frame == frames:
            if emitted == len(labels):
                totals.append(score)
            return
        for index, duration in enumerate(DURATIONS.tolist()):
            reached = frame + duration
            if reached > frames:
                continue
            step = score + float(durations[frame, emitted, index])
            if duration > 0 and (reached < frames or emitted == len(labels)):
                walk(reached, emitted, step + float(tokens[frame, emitted, classes - 1]))
            if emitted < len(labels) and reached < frames:
                walk(reached, emitted + 1, step + float(tokens[frame, emitted, labels[emitted]]))

    walk(0, 0, 0.0)
    return -float(np.logaddexp.reduce(totals))


@pytest.mark.parametrize(("frames", "labels"), list(itertools.product([1, 2, 3, 5], [[], [0], [1, 0], [2, 2, 1]])))
def test_loss_is_the_sum_over_every_path(frames: int, labels: list[int]) -> None:
    torch.manual_seed(frames * 10 + len(labels))
    logits = torch.randn(1, frames, len(labels) + 1, 4 + 5, dtype=torch.float64)
    targets = torch.tensor([labels], dtype=torch.long)
    loss = tdt_loss(logits, targets, torch.tensor([frames]), torch.tensor([len(labels)]), sigma=0.05)
    assert float(loss) == pytest.approx(by_enumeration(logits[0], labels, frames, 0.05), rel=1e-9)


def test_gradient_equals_finite_differences_also_of_padded_utterances() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 6, 4, 5 + 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 4, (2, 3))
    frames, counts = torch.tensor([6, 4]), torch.tensor([3, 2])

    def total(values: torch.Tensor) -> torch.Tensor:
        return tdt_loss(values, targets, frames, counts).sum()

    assert torch.autograd.gradcheck(total, (logits,), eps=1e-6, atol=1e-6)


def test_padding_does_not_change_an_utterance() -> None:
    torch.manual_seed(1)
    logits = torch.randn(1, 5, 3, 9, dtype=torch.float64)
    larger = torch.randn(1, 8, 5, 9, dtype=torch.float64)
    larger[:, :5, :3] = logits
    counts = torch.tensor([2])
    alone = tdt_loss(logits, torch.tensor([[1, 2]]), torch.tensor([5]), counts)
    beside = tdt_loss(larger, torch.tensor([[1, 2, 0, 0]]), torch.tensor([5]), counts)
    assert float(alone) == pytest.approx(float(beside))
