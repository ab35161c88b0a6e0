"""The token-and-duration transducer loss (Xu et al. 2023) with exact gradients, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit

DURATIONS = np.array([0, 1, 2, 3, 4])
UNREACHABLE = -1e30
"""Stands for the logarithm of zero, where arithmetic must stay finite."""

Array = np.ndarray[Any, Any]


@njit(cache=True)
def _add_log(first: float, second: float) -> Any:
    high, low = max(first, second), min(first, second)
    if low <= UNREACHABLE / 2:
        return high
    return high + np.log1p(np.exp(low - high))


@njit(cache=True)
def _forward_backward(
    blank: Array,
    label: Array,
    duration: Array,
    frame_counts: Array,
    label_counts: Array,
    durations: Array,
    loss: Array,
    grad_blank: Array,
    grad_label: Array,
    grad_duration: Array,
) -> None:
    """Fill `loss` (B,) and the gradients of its sum with respect to the three log-probability arrays.

    A state (t, u) has seen t frames and emitted u labels. From it, a label with duration d goes to (t + d, u + 1) as
    long as frames remain, and a blank with d > 0 to (t + d, u). The utterance ends in (T, U), reached by a blank.
    """
    for b in range(blank.shape[0]):
        frames, labels = frame_counts[b], label_counts[b]
        alpha = np.full((frames + 1, labels + 1), UNREACHABLE)
        beta = np.full((frames + 1, labels + 1), UNREACHABLE)
        alpha[0, 0] = 0.0
        for t in range(frames + 1):
            for u in range(labels + 1):
                if t == frames and u < labels:
                    continue
                total = alpha[t, u]
                for k in range(len(durations)):
                    d = durations[k]
                    s = t - d
                    if s < 0 or s >= frames:
                        continue
                    if d > 0:
                        total = _add_log(total, alpha[s, u] + blank[b, s, u] + duration[b, s, u, k])
                    if u > 0 and t < frames:
                        total = _add_log(total, alpha[s, u - 1] + label[b, s, u - 1] + duration[b, s, u - 1, k])
                alpha[t, u] = total
        beta[frames, labels] = 0.0
        for t in range(frames - 1, -1, -1):
            for u in range(labels, -1, -1):
                total = UNREACHABLE
                for k in range(len(durations)):
                    d = durations[k]
                    s = t + d
                    if s > frames:
                        continue
                    if d > 0 and (s < frames or u == labels):
                        total = _add_log(total, beta[s, u] + blank[b, t, u] + duration[b, t, u, k])
                    if u < labels and s < frames:
                        total = _add_log(total, beta[s, u + 1] + label[b, t, u] + duration[b, t, u, k])
                beta[t, u] = total
        score = beta[0, 0]
        if score <= UNREACHABLE / 2:  # more labels than the frames can carry
            loss[b] = 0.0
            continue
        loss[b] = -score
        for t in range(frames):
            for u in range(labels + 1):
                for k in range(len(durations)):
                    d = durations[k]
                    s = t + d
                    if s > frames:
                        continue
                    here = alpha[t, u] + duration[b, t, u, k] - score
                    if d > 0 and (s < frames or u == labels):
                        share = np.exp(here + blank[b, t, u] + beta[s, u])
                        grad_blank[b, t, u] -= share
                        grad_duration[b, t, u, k] -= share
                    if u < labels and s < frames:
                        share = np.exp(here + label[b, t, u] + beta[s, u + 1])
                        grad_label[b, t, u] -= share
                        grad_duration[b, t, u, k] -= share


class _TransducerLoss(torch.autograd.Function):
    """The loss with its gradient, both worked out in `forward`.

    Autograd would touch the joint's large output a dozen times on the way back; this does so three times.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        targets: torch.Tensor,
        frame_counts: torch.Tensor,
        label_counts: torch.Tensor,
        sigma: float,
    ) -> torch.Tensor:
        classes = logits.shape[-1] - len(DURATIONS)
        token_logits = logits[..., :classes]
        normalizer = torch.logsumexp(token_logits, -1)
        durations = torch.log_softmax(logits[..., classes:], -1)
        batch, frames, steps = normalizer.shape
        padded = torch.cat([targets, targets.new_zeros(batch, 1)], 1)[:, :steps]
        chosen = padded[:, None, :, None].expand(batch, frames, steps, 1)
        blanks = token_logits[..., -1] - normalizer - sigma
        labels = token_logits.gather(-1, chosen).squeeze(-1) - normalizer - sigma

        inputs = [tensor.double().numpy() for tensor in (blanks, labels, durations)]
        gradients = [np.zeros_like(array) for array in inputs]
        loss = np.zeros(batch)
        _forward_backward(*inputs, frame_counts.numpy(), label_counts.numpy(), DURATIONS, loss, *gradients)
        by_blank, by_label, by_duration = (torch.from_numpy(array).to(logits.dtype) for array in gradients)

        # d log softmax_k / d logit_j = [j = k] - softmax_j, for tokens and durations alike.
        slope = torch.empty_like(logits)
        tokens = slope[..., :classes]
        torch.sub(token_logits, normalizer[..., None], out=tokens)
        tokens.exp_().mul_(-(by_blank + by_label)[..., None])
        tokens[..., -1] += by_blank
        slope.scatter_add_(-1, chosen, by_label[..., None])
        slope[..., classes:] = by_duration - durations.exp() * by_duration.sum(-1, keepdim=True)
        ctx.save_for_backward(slope)
        return torch.from_numpy(loss).to(logits.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * upstream[0].view(-1, 1, 1, 1), None, None, None, None


def tdt_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    frame_counts: torch.Tensor,
    label_counts: torch.Tensor,
    sigma: float = 0.02,
) -> torch.Tensor:
    """Negative log-likelihood of each utterance, float (B,); zero where the labels don't fit the frames.

    `logits` is (B, T, U + 1, V + 1 + 5) with the blank at V; `targets` int64 (B, U). `sigma` under-normalizes the
    token probabilities, which favours long durations (section 3.3 of the paper).
    """
    loss: torch.Tensor = _TransducerLoss.apply(logits, targets, frame_counts, label_counts, sigma)
    return loss
