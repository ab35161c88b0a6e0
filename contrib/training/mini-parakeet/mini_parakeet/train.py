"""Training in stages, each resumable from its last checkpoint."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F

from mini_parakeet.checkpoint import load_model, save
from mini_parakeet.composition import Shares
from mini_parakeet.dataset import Batch, BatchLimits, BatchStream, Mixture
from mini_parakeet.human import SPEAKERS, spoken_commands, write_commands, write_digits
from mini_parakeet.judge import quick_line
from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.tdt_loss import tdt_loss
from mini_parakeet.tokenizer import Tokenizer, train_tokenizer

SYNTHETIC = {
    "train-espeak": 0.30,
    "train-flite": 0.12,
    "train-hibari": 0.14,
    "train-pico": 0.14,
    "train-joe": 0.11,
    "train-kokoro": 0.10,
    "train-unknown": 0.02,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One run of the optimizer with a learning rate that rises, then falls to nearly nothing."""

    mixture: Mixture
    steps: int
    peak_rate: float
    warmup: int = 60
    ctc_weight: float = 0.4
    starts_from: str = ""
    """The stage whose weights it goes on with."""
    freezes_encoder: bool = False
    averages_steps: int = 0
    """About how many of the last steps the result is the mean of (Polyak and Juditsky 1992); 0: none, the end alone."""
    freezes_norms: bool = False
    """Batch norms keep the statistics that they came with: what is heard then doesn't depend on who shares a batch."""


STAGES = {
    "easy": Stage(Mixture(SYNTHETIC, flat_start=True), steps=450, peak_rate=2e-3, warmup=200, ctc_weight=0.5),
    "base": Stage(Mixture(SYNTHETIC, chain_share=0.08), steps=4000, peak_rate=2e-3, warmup=200, starts_from="easy"),
    "heads": Stage(
        Mixture(SYNTHETIC, empty_share=0.05),
        steps=150,
        peak_rate=2e-3,
        warmup=20,
        starts_from="adopted",
        freezes_encoder=True,
    ),
    "grown": Stage(
        Mixture(SYNTHETIC, chain_share=0.06, empty_share=0.05),
        steps=388,
        peak_rate=7e-4,
        warmup=60,
        ctc_weight=0.3,
        starts_from="heads",
        freezes_norms=True,
    ),
    "commands": Stage(
        Mixture({**SYNTHETIC, "barista": 0.16}, chain_share=0.06, empty_share=0.06),
        steps=423,
        peak_rate=7e-4,
        warmup=30,
        ctc_weight=0.3,
        starts_from="grown",
        freezes_norms=True,
    ),
    "final": Stage(
        Mixture({**SYNTHETIC, "barista": 0.14, "digits": 0.2}, chain_share=0.08, empty_share=0.06),
        steps=1550,
        peak_rate=6e-4,
        warmup=30,
        ctc_weight=0.2,
        starts_from="commands",
        freezes_norms=True,
    ),
    "polished": Stage(
        Mixture(
            {**SYNTHETIC, "train-espeak": 0.40, "barista": 0.13, "digits": 0.17},
            chain_share=0.07,
            empty_share=0.05,
            gentle_share=0.4,
        ),
        steps=472,
        peak_rate=4.5e-4,
        warmup=20,
        ctc_weight=0.15,
        starts_from="final",
        freezes_norms=True,
    ),
    "settled": Stage(
        Mixture(
            {**SYNTHETIC, "train-espeak": 0.40, "barista": 0.15, "digits": 0.15},
            chain_share=0.07,
            empty_share=0.05,
            gentle_share=0.5,
        ),
        steps=150,
        peak_rate=2.5e-4,
        warmup=20,
        ctc_weight=0.15,
        starts_from="blended",
        freezes_norms=True,
    ),
}
STAGES["refined"] = Stage(
    Mixture(
        {
            **SYNTHETIC,
            "train-espeak": 0.40,
            "train-espeak-salad": 0.12,
            "train-flite-salad": 0.04,
            "barista": 0.18,
            "digits": 0.18,
        },
        chain_share=0.07,
        empty_share=0.05,
        gentle_share=0.45,
    ),
    steps=1747,
    peak_rate=4.5e-4,
    warmup=30,
    ctc_weight=0.0,
    starts_from="shipped-before",
    averages_steps=150,
    freezes_norms=True,
)
STAGES["finished"] = replace(
    STAGES["refined"],
    mixture=replace(STAGES["refined"].mixture, empty_share=0.09),
    steps=1081,
    peak_rate=3e-4,
    starts_from="refined-blended",
)
STAGES["broadened"] = replace(
    STAGES["finished"],
    mixture=replace(
        STAGES["finished"].mixture,
        sources={
            **STAGES["finished"].mixture.sources,
            "train-espeak-salad": 0.2,
            "train-joe": 0.06,
            "train-kokoro": 0.06,
            "alone": 0.18,
        },
    ),
    steps=3200,
    peak_rate=4.5e-4,
    starts_from="finished",
)
NATURAL = {
    "train-natural": 0.28,
    "train-espeak": 0.15,
    "train-espeak-salad": 0.08,
    "train-flite": 0.06,
    "train-flite-salad": 0.02,
    "train-hibari": 0.07,
    "train-hibari-salad": 0.03,
    "train-pico": 0.07,
    "train-pico-salad": 0.03,
    "train-joe": 0.03,
    "train-unknown": 0.015,
    "alone": 0.06,
    "barista": 0.17,
    "digits": 0.16,
}
STAGES["paused"] = Stage(
    Mixture(
        NATURAL,
        chain_share=0.03,
        empty_share=0.05,
        gentle_share=0.35,
        shares=Shares(),
        noise_floor_share=0.5,
        lowest_peak=-2.5,
    ),
    steps=10000,
    peak_rate=5e-4,
    warmup=60,
    ctc_weight=0.0,
    starts_from="shipped",
    averages_steps=300,
    freezes_norms=True,
)
"""Round four: pauses, context, prefixes, and Kokoro's English voices."""
STAGES["paused-again"] = replace(
    STAGES["paused"],
    mixture=replace(
        STAGES["paused"].mixture,
        sources={**NATURAL, "train-natural": 0.42, "digits": 0.2, "barista": 0.19},
        shares=Shares(inside=0.28, prefix=0.09),
    ),
    steps=3200,
    peak_rate=3e-4,
    starts_from="paused",
)
"""The same again, with more of the natural voices, people, and pauses inside sentences."""
STAGES["halves"] = replace(
    STAGES["paused"],
    mixture=replace(
        STAGES["paused"].mixture,
        sources={
            **NATURAL,
            "train-natural": 0.4,
            "train-espeak": 0.19,
            "train-flite": 0.08,
            "train-hibari": 0.08,
            "barista": 0.19,
            "digits": 0.19,
        },
        shares=Shares(inside=0.22, between=0.11, after=0.07, prefix=0.09, following=0.05, fragment=0.05, half=0.13),
    ),
    steps=7600,
    peak_rate=4.5e-4,
    starts_from="paused",
)
"""Round five: the parts before and after a pause by themselves, as the daemon hears them; twice as much of Kokoro."""
STAGES["gathered"] = replace(
    STAGES["halves"],
    mixture=replace(
        STAGES["halves"].mixture,
        sources={
            **NATURAL,
            "train-natural": 0.34,
            "train-espeak": 0.2,
            "train-flite": 0.14,
            "train-hibari": 0.13,
            "train-pico": 0.13,
            "train-joe": 0.1,
            "barista": 0.18,
            "digits": 0.17,
        },
    ),
    steps=2800,
    peak_rate=2.5e-4,
    starts_from="mean",
)
"""Round five goes on from a mean of `paused`, `paused-again` and `halves`, with more of the synthesizers."""
STAGES["deepened"] = replace(
    STAGES["gathered"],
    mixture=replace(
        STAGES["gathered"].mixture,
        sources={
            **NATURAL,
            "train-natural": 0.34,
            "train-espeak": 0.17,
            "train-espeak-salad": 0.13,
            "train-flite": 0.11,
            "train-flite-salad": 0.05,
            "train-hibari": 0.1,
            "train-hibari-salad": 0.07,
            "train-pico": 0.1,
            "train-pico-salad": 0.07,
            "train-joe": 0.07,
            "alone": 0.09,
            "barista": 0.2,
            "digits": 0.24,
        },
        empty_share=0.06,
        shares=Shares(
            inside=0.22, between=0.1, after=0.07, prefix=0.09, following=0.05, fragment=0.05, half=0.12, shuffle=0.07
        ),
    ),
    steps=13_000,
    peak_rate=9e-4,
    warmup=300,
    ctc_weight=0.15,
    starts_from="six-layers",
    averages_steps=600,
)
"""Round six: a sixth layer (`deepen`), a higher rate for longer, words in any order more often, and the CTC head."""
STAGES["gentle"] = replace(
    STAGES["deepened"],
    mixture=replace(STAGES["deepened"].mixture, gentle_share=0.65, empty_share=0.07),
    steps=3300,
    peak_rate=2e-4,
    warmup=60,
    ctc_weight=0.1,
    starts_from="deepened",
    averages_steps=400,
)
"""Round six ends with voices and recordings that are mostly left nearly as they are."""
STAGES["evened"] = replace(
    STAGES["deepened"],
    mixture=replace(
        STAGES["deepened"].mixture,
        sources={
            **STAGES["deepened"].mixture.sources,
            "train-natural": 0.36,
            "train-espeak": 0.21,
            "train-espeak-salad": 0.11,
            "train-hibari-salad": 0.06,
            "train-pico-salad": 0.06,
            "barista": 0.19,
            "digits": 0.34,
        },
        gentle_share=0.45,
        empty_share=0.08,
        tight_share=0.2,
        human_full_share=0.65,
        shares=Shares(
            inside=0.22, between=0.15, after=0.06, prefix=0.08, following=0.1, fragment=0.05, half=0.08, shuffle=0.05
        ),
    ),
    steps=11_000,
    peak_rate=7e-4,
    warmup=150,
    ctc_weight=0.1,
    starts_from="averaged",
)
"""Round six goes on from its mean: more that ends before the next sentence begins, more digits, more kinds of noise."""
STAGES["annealed"] = replace(
    STAGES["evened"],
    mixture=replace(
        STAGES["evened"].mixture,
        sources={**STAGES["evened"].mixture.sources, "barista": 0.24, "digits": 0.5},
        gentle_share=0.55,
        tight_share=0.3,
        human_full_share=0.5,
        digit_run_share=0.35,
        shares=Shares(
            inside=0.26, between=0.15, after=0.06, prefix=0.07, following=0.1, fragment=0.04, half=0.08, shuffle=0.03
        ),
    ),
    steps=4_500,
    peak_rate=3e-4,
    warmup=60,
    ctc_weight=0.05,
    starts_from="six",
    averages_steps=600,
)
"""Round seven goes on from six at a low rate: more of people, single digits in no silence, pauses in sentences."""
STAGES["annealed-again"] = replace(
    STAGES["annealed"],
    mixture=replace(
        STAGES["annealed"].mixture,
        sources={**STAGES["annealed"].mixture.sources, "alone": 0.22, "barista": 0.26, "digits": 0.55},
        shares=Shares(
            inside=0.3, between=0.15, after=0.05, prefix=0.06, following=0.1, fragment=0.04, half=0.07, shuffle=0.03
        ),
    ),
    steps=3_700,
    peak_rate=5e-4,
    starts_from="seven-a",
)
"""The same again from the next mean, with more pauses, and digits by many more voices."""
STAGES["parted"] = replace(
    STAGES["annealed-again"],
    mixture=replace(
        STAGES["annealed-again"].mixture,
        sources={**STAGES["annealed-again"].mixture.sources, "digits": 0.48},
        gentle_share=0.5,
        tight_share=0.22,
        shares=Shares(
            inside=0.22, between=0.24, after=0.08, prefix=0.06, following=0.14, fragment=0.04, half=0.06, shuffle=0.03
        ),
    ),
    steps=2_900,
    peak_rate=4e-4,
    ctc_weight=0.1,
    starts_from="seven",
)
"""From their mean, with more sentences that end before the next one begins."""
for _speaker in SPEAKERS:
    STAGES[f"without-{_speaker}"] = replace(
        STAGES["final"],
        mixture=replace(
            STAGES["final"].mixture,
            sources={**STAGES["final"].mixture.sources, "alone": 0.15},
            excluded=(f"digits-{_speaker}",),
        ),
        steps=300,
    )
PAIRS_LEFT_OUT = (("george", "lucas"), ("jackson", "nicolas"))
for _pair in PAIRS_LEFT_OUT:
    STAGES[f"without-{'-'.join(_pair)}"] = replace(
        STAGES["evened"],
        mixture=replace(STAGES["evened"].mixture, excluded=tuple(f"digits-{_speaker}" for _speaker in _pair)),
        steps=8_000,
        peak_rate=1e-3,
        warmup=300,
        ctc_weight=0.15,
        starts_from="first-deepened",
    )
"""Round six without two of the four speakers, from the first model, which had heard no human; only for judging."""


CHECKED_AFTER_S = 3600
"""Seconds of training between two rough checks, of the average if there is one."""


def learning_rate(stage: Stage, progress: float, step: int) -> float:
    """A cosine from the peak to 2 % of it, after a linear rise; `step` counts from where the optimizer was fresh."""
    fall = 0.02 + 0.98 * 0.5 * (1 + cos(pi * min(1.0, progress)))
    return stage.peak_rate * min(1.0, (step + 1) / stage.warmup) * fall


@dataclass(frozen=True, slots=True)
class Losses:
    total: torch.Tensor
    tdt: float
    ctc: float


def predicted_after_context(model: MiniParakeet, batch: Batch) -> torch.Tensor:
    """The prediction network's outputs before each target and after the last, float (B, U + 1, P).

    Where there is context, the network has read it before; its own outputs take no part.
    """
    rows, labels = batch.targets.shape
    inputs = torch.zeros(rows, 1 + batch.contexts.shape[1] + labels, dtype=torch.long)
    inputs[:, 0] = model.decoder.blank
    for row, length in enumerate(batch.context_lengths.tolist()):
        inputs[row, 1 : 1 + length] = batch.contexts[row, :length]
        inputs[row, 1 + length : 1 + length + labels] = batch.targets[row]
    predicted, _ = model.decoder.predict(inputs)
    places = batch.context_lengths[:, None] + torch.arange(labels + 1)[None]
    return predicted.gather(1, places[:, :, None].expand(-1, -1, predicted.shape[2]))


def losses(model: MiniParakeet, batch: Batch, ctc_weight: float) -> Losses:
    """TDT and CTC, each a mean over labels; in a flat start mostly the assumed alignment's cross-entropy."""
    encoded, lengths = model.encoder(batch.features, batch.frames)
    encoded = encoded.transpose(1, 2)
    blank = model.decoder.blank
    predicted = predicted_after_context(model, batch)
    labels = batch.target_lengths.sum() + len(batch.targets)
    tdt = tdt_loss(model.decoder.join(encoded, predicted), batch.targets, lengths, batch.target_lengths).sum() / labels
    if ctc_weight == 0:
        return Losses(tdt, float(tdt.detach()), 0.0)
    scores = model.ctc(encoded)
    ctc = (
        F.ctc_loss(
            torch.log_softmax(scores, -1).transpose(0, 1),
            batch.targets,
            lengths,
            batch.target_lengths,
            blank=blank,
            reduction="sum",
            zero_infinity=True,
        )
        / labels
    )
    total = (1 - ctc_weight) * tdt + ctc_weight * ctc
    if batch.alignment is not None:
        aligned = F.cross_entropy(scores.flatten(0, 1), batch.alignment.flatten(), ignore_index=-1)
        total = 0.4 * total + 3.6 * aligned
    return Losses(total, float(tdt.detach()), float(ctc.detach()))


def quick_check(model: MiniParakeet, tokenizer: Tokenizer, work: Path, data: Path | None) -> str:
    """A line of rough figures for the log; `judge` and `evaluate` have the real ones."""
    return quick_line(model, tokenizer, work / "corpus", data, every=8)


class Lane:
    """One of several single-threaded processes that train together, each on batches of its own.

    Two lanes of one thread are half as fast again as one of two threads, whose kernels are too small to share.
    """

    def __init__(self, rank: int, count: int, meeting_point: Path) -> None:
        self.rank, self.count = rank, count
        if count > 1:
            store = torch.distributed.FileStore(str(meeting_point), count)
            torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share_gradients(self, model: torch.nn.Module) -> None:
        """Replace all gradients by their mean over the lanes."""
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        if self.count > 1:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            torch.distributed.all_reduce(flat)
            flat /= self.count
            for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def agree(self, value: float) -> float:
        """The leader's value."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        torch.distributed.broadcast(shared, 0)
        return float(shared)


def shorten_numbers(model: MiniParakeet) -> None:
    """Let the encoder's layers multiply in bfloat16 where the processor does: half the time of a pass.

    The convolutions before them stay as they are: their way back is slower in bfloat16.
    """
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return
    for layer in model.encoder.layers:
        layer.forward = torch.autocast("cpu", torch.bfloat16)(layer.forward)


class Average:
    """An exponentially weighted mean of a model's weights over its last steps."""

    def __init__(self, model: MiniParakeet, steps: int) -> None:
        self._steps = steps
        self._taken = 0
        self._weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def take(self, model: MiniParakeet) -> None:
        """The weights after one more step; at first the mean of all, later of about `steps`."""
        self._taken += 1
        share = 1 / min(self._taken, self._steps)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self._weights[name].lerp_(value, share)

    def resume(self, weights: dict[str, torch.Tensor], taken: int) -> None:
        self._weights, self._taken = weights, taken

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return self._weights


def settle(model: MiniParakeet, stage: Stage) -> None:
    """Into training, but for the parts that the stage leaves alone."""
    model.train()
    if stage.freezes_encoder:
        model.encoder.requires_grad_(False).eval()
    if stage.freezes_norms:
        for layer in model.encoder.layers:
            layer.convolution.norm.eval()


def new_optimizer(model: MiniParakeet, stage: Stage) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=stage.peak_rate, betas=(0.9, 0.98), weight_decay=1e-3)


def wanted_steps(path: Path, default: int) -> int:
    """The number in the file at `path`, which may shorten or lengthen a stage while it runs, or `default`."""
    try:
        return max(1, int(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return default


def run_stage(
    rank: int, lanes: int, name: str, work: Path, data: Path | None, minutes: float | None, steps: int | None
) -> None:
    """Train stage `name` to its end, from its checkpoint if there is one.

    With `minutes` the learning rate follows the time spent instead of the steps; the log tells how many were done.
    """
    torch.set_num_threads(1)
    stage = STAGES[name] if steps is None else replace(STAGES[name], steps=steps)
    tokenizer = Tokenizer(work / "tokenizer.model")
    lane = Lane(rank, lanes, work / f"{name}.lanes")
    running = work / f"{name}.running.pt"
    torch.manual_seed(sum(map(ord, name)))
    model = MiniParakeet(ModelSettings(tokenizer.size))
    optimizer = new_optimizer(model, stage)
    step, spent_s, fresh_at = 0, 0.0, 0
    stored: dict[str, Any] = {}
    if running.exists():
        stored = torch.load(running, weights_only=True)
        model = MiniParakeet(ModelSettings(**stored["settings"]))
        optimizer = new_optimizer(model, stage)
        model.load_state_dict(stored["model"])
        step, spent_s = stored["step"], stored["spent_s"]
        fresh_at = stored.get("fresh_at", 0)
        if "optimizer" in stored:
            optimizer.load_state_dict(stored["optimizer"])
        else:
            fresh_at = step
    elif stage.starts_from:
        model = load_model(work / f"{stage.starts_from}.pt")
        optimizer = new_optimizer(model, stage)
    seed = crc32(name.encode()) + step * lanes + rank
    stream = BatchStream(work / "corpus", stage.mixture, work / "tokenizer.model", seed, BatchLimits())
    batches = iter(torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=8))
    average = Average(model, stage.averages_steps) if stage.averages_steps else None
    if average and "average" in stored:
        average.resume(stored["average"], step - fresh_at)
    shorten_numbers(model)
    settle(model, stage)
    history: list[tuple[float, ...]] = []
    last_save = last_check = spent_s
    first_step = step
    while True:
        if lane.leads and (step % 20 == 0 or step == first_step):
            stage = replace(stage, steps=wanted_steps(work / f"{name}.steps", stage.steps))
        progress = lane.agree(spent_s / (60 * minutes) if minutes else step / stage.steps)
        if progress >= 1:
            break
        begun = time.monotonic()
        batch = next(batches)
        waited_s = time.monotonic() - begun
        rate = learning_rate(stage, progress, step - fresh_at)
        for group in optimizer.param_groups:
            group["lr"] = rate
        result = losses(model, batch, stage.ctc_weight)
        optimizer.zero_grad()
        result.total.backward()  # type: ignore[no-untyped-call]
        lane.share_gradients(model)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        if torch.isfinite(norm):
            optimizer.step()
        step += 1
        if average:
            average.take(model)
        step_s = time.monotonic() - begun
        spent_s += step_s
        if not lane.leads:
            continue
        history.append((result.tdt, result.ctc, step_s, waited_s, len(batch.frames), float(norm)))
        if step % 50 == 0:
            tdt, ctc, step_mean, wait_mean, items, norms = np.mean(history, axis=0)
            history.clear()
            print(
                f"{name} {step} {spent_s / 60:.1f} min tdt {tdt:.3f} ctc {ctc:.3f} {step_mean:.2f} s/step "
                f"(waiting {wait_mean:.2f}) items {items:.0f} norm {norms:.1f} rate {rate:.5f}",
                flush=True,
            )
        if spent_s - last_save > 120:
            last_save = spent_s
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
            state["fresh_at"] = fresh_at
            if average:
                state["average"] = average.weights
            save(running, {**state, "spent_s": spent_s, "settings": model.settings.as_dict()})
        if spent_s - last_check > CHECKED_AFTER_S:
            last_check = spent_s
            checked = model
            if average:
                checked = MiniParakeet(model.settings)
                checked.load_state_dict(average.weights)
            print(f"  {name} {step}: {quick_check(checked, tokenizer, work, data)}", flush=True)
            settle(model, stage)
    if lane.leads:
        if average:
            model.load_state_dict(average.weights)
        save(work / f"{name}.pt", {"model": model.state_dict(), "settings": model.settings.as_dict(), "steps": step})
        print(f"{name} done, {step} steps: {quick_check(model, tokenizer, work, data)}", flush=True)
        running.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="+", choices=[*STAGES, "label-commands", "digits"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder of spoken-digits and barista")
    parser.add_argument("--minutes", type=float, help="let each stage take this long instead of its steps")
    parser.add_argument("--steps", type=int, help="instead of the stage's own number")
    parser.add_argument("--lanes", type=int, default=2, help="processes that train together")
    parser.add_argument("--scorer", default="base", help="stage whose weights choose the commands' words")
    parser.add_argument("--no-ctc", action="store_true", help="the scorer has no trained CTC head: use the transducer")
    arguments = parser.parse_args()
    work: Path = arguments.work
    for name in arguments.stages:
        match name:
            case "digits":
                write_digits(arguments.data, work / "corpus")
            case "label-commands":
                model = load_model(work / f"{arguments.scorer}.pt")
                tokenizer = train_tokenizer(work / "tokenizer.model")
                margin = write_commands(
                    spoken_commands(arguments.data), model, tokenizer, work / "corpus" / "barista", not arguments.no_ctc
                )
                print(f"commands labelled, mean margin {margin:.1f} nats", flush=True)
            case _:
                if (work / f"{name}.pt").exists():
                    print(f"{name}: done before", flush=True)
                    continue
                train_tokenizer(work / "tokenizer.model")
                (work / f"{name}.lanes").unlink(missing_ok=True)
                lanes = arguments.lanes
                stage_arguments = (lanes, name, work, arguments.data, arguments.minutes, arguments.steps)
                torch.multiprocessing.spawn(run_stage, stage_arguments, nprocs=lanes)


if __name__ == "__main__":
    main()
