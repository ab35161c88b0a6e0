"""Batches for training, put together on the fly from corpora."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mini_parakeet.augment import (
    FULL,
    GENTLE,
    Strength,
    drawn_warp,
    masked,
    non_speech,
    pause,
    recorded,
    voiced,
    white,
)
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Corpus, Samples
from mini_parakeet.features import HOP, Features, log_mel, normalized_log_mel, power_spectrum
from mini_parakeet.model import SUBSAMPLING, encoder_frames
from mini_parakeet.tokenizer import Tokenizer

HUMAN = ("barista", "digits")
"""Groups of human speech: so few voices that they are always bent to the full."""
SHORTEST_SAMPLES = 1_920
PADDING_FRAMES = 16
"""Batches are padded to multiples of this, so that few tensor shapes occur."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a stage hears."""

    sources: Mapping[str, float]
    """Weight of each group of corpora, a group being all files that begin with its name."""
    strength: Strength = FULL
    chain_share: float = 0.12
    """Share of items that join two to six clips."""
    empty_share: float = 0.03
    """Share of items in which nobody speaks."""
    gentle_share: float = 0.1
    """Share of items whose voices are left nearly as they are and, drawn apart from it, of those recorded in quiet."""
    flat_start: bool = False
    """Only short clean clips, with an assumed alignment."""
    excluded: tuple[str, ...] = ()
    """Corpora that are left out, by name."""


@dataclass(frozen=True, slots=True)
class Item:
    features: Features
    tokens: list[int]
    speech: tuple[int, int] | None = None
    """First and last sample of speech, where it is known."""


@dataclass(frozen=True, slots=True)
class Batch:
    features: torch.Tensor
    """float32 (B, 128, T), padded with zeros."""
    frames: torch.Tensor
    """int64 (B,)"""
    targets: torch.Tensor
    """int64 (B, U)"""
    target_lengths: torch.Tensor
    alignment: torch.Tensor | None = None
    """int64 (B, T'), a token for each encoder frame, -1 where there is none to learn."""


@dataclass(slots=True)
class Group:
    corpora: list[Corpus]
    weight: float
    offsets: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.offsets = np.cumsum([len(corpus) for corpus in self.corpora])

    def draw(self, rng: np.random.Generator) -> Clip:
        index = int(rng.integers(self.offsets[-1]))
        which = int(np.searchsorted(self.offsets, index, side="right"))
        return self.corpora[which][index - (int(self.offsets[which - 1]) if which else 0)]


class Composer:
    """Draws items from a mixture. Not thread-safe: one for each worker."""

    def __init__(self, folder: Path, mixture: Mixture, tokenizer: Tokenizer, rng: np.random.Generator) -> None:
        self.mixture, self.tokenizer, self.rng = mixture, tokenizer, rng
        self.groups: dict[str, Group] = {}
        for name, weight in mixture.sources.items():
            paths = [path for path in sorted(folder.glob(f"{name}*.jsonl")) if path.stem not in mixture.excluded]
            if paths and weight > 0:
                self.groups[name] = Group([Corpus(path.with_suffix("")) for path in paths], weight)
        if not self.groups:
            raise FileNotFoundError(f"no corpora of {sorted(mixture.sources)} in {folder}")
        weights = np.array([group.weight for group in self.groups.values()])
        self.names = list(self.groups)
        self.shares = weights / weights.sum()

    def draw_clip(self) -> tuple[str, Clip]:
        name = self.names[int(self.rng.choice(len(self.names), p=self.shares))]
        return name, self.groups[name].draw(self.rng)

    def flat_start_item(self) -> Item:
        """A short clean clip that tells where its speech lies."""
        while True:
            _, clip = self.draw_clip()
            if clip.text and len(clip.samples) < 2.2 * SAMPLE_RATE:
                break
        rng = self.rng
        before, after = int(rng.uniform(0, 0.2) * SAMPLE_RATE), int(rng.uniform(0.02, 0.3) * SAMPLE_RATE)
        samples = np.pad(clip.samples, (before, after))
        samples = samples + white(rng, len(samples)) * np.float32(10 ** (-rng.uniform(2, 3.2)))
        speech = (before + 480, before + len(clip.samples) - 960)
        return Item(log_mel(samples), self.tokenizer.encode(clip.text), speech)

    def _digit_run(self, first: Clip) -> tuple[Samples, str]:
        """A number in one human's words: more clips of the speaker of `first`, closely joined."""
        rng = self.rng
        corpora = self.groups["digits"].corpora
        own = next(corpus for corpus in corpora if corpus.infos[0].voice == first.voice)
        clips = [first, *(own[int(rng.integers(len(own)))] for _ in range(int(rng.integers(1, 11))))]
        longest_s = float(rng.choice([0.05, 0.15, 0.5]))
        floor = 10 ** rng.uniform(-4, -2.5)
        parts: list[Samples] = []
        for clip in clips:
            parts.append(clip.samples * np.float32(rng.uniform(0.6, 1) / (np.abs(clip.samples).max() + 1e-6)))
            parts.append(white(rng, int(rng.uniform(0, longest_s) * SAMPLE_RATE)) * np.float32(floor))
        words = " ".join(clip.text.rstrip(".").lower() for clip in clips)
        return np.concatenate(parts[:-1]), words[0].upper() + words[1:] + "."

    def _speech(self, strength: Strength) -> tuple[Samples, str]:
        """One utterance by one speaker."""
        name, clip = self.draw_clip()
        samples, text = clip.samples, clip.text
        if name == "digits" and self.rng.random() < 0.5:
            samples, text = self._digit_run(clip)
        return voiced(samples, self.rng, FULL if name in HUMAN else strength), text

    def _silence(self) -> Samples:
        rng = self.rng
        longest_s = 0.0 if rng.random() < 0.3 else 2.4 if rng.random() < 0.3 else 0.6
        return np.zeros(int(rng.uniform(0, longest_s) * SAMPLE_RATE), np.float32)

    def items(self) -> list[Item]:
        """One recording as two items that differ in warp and masks: most of the work is done before those."""
        rng, mixture = self.rng, self.mixture
        if mixture.flat_start:
            return [self.flat_start_item()]
        if rng.random() < mixture.empty_share:
            return [Item(log_mel(non_speech(rng)), [])]
        strength, recording = (GENTLE if rng.random() < mixture.gentle_share else mixture.strength for _ in range(2))
        count = int(rng.integers(2, 6)) if rng.random() < mixture.chain_share else 1
        parts = [self._silence()]
        texts = []
        for _ in range(count):
            samples, text = self._speech(strength)
            if parts and sum(map(len, parts)) + len(samples) > 18 * SAMPLE_RATE:
                break
            level = rng.uniform(0.25, 1) if count > 1 else 1.0
            parts += [
                samples * np.float32(level / (np.abs(samples).max() + 1e-6)),
                np.zeros(pause(rng, 1.6), np.float32),
            ]
            texts.append(text)
        parts[-1] = self._silence()
        samples = np.concatenate(parts)
        if rng.random() < 0.08:
            samples = self._with_babble(samples)
        samples = recorded(samples, rng, recording)
        if len(samples) < SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, SHORTEST_SAMPLES - len(samples)))
        tokens = self.tokenizer.encode(" ".join(filter(None, texts)))
        power = power_spectrum(samples)
        views = [normalized_log_mel(power, drawn_warp(rng, strength)) for _ in range(2)]
        return [Item(masked(view, rng) if rng.random() < 0.8 else view, tokens) for view in views]

    def _with_babble(self, samples: Samples) -> Samples:
        """Some people talking in the background."""
        rng = self.rng
        babble = np.zeros(len(samples), np.float32)
        for _ in range(int(rng.integers(3, 7))):
            _, clip = self.draw_clip()
            voice = np.resize(clip.samples, len(samples)) if len(clip.samples) else babble
            babble += np.roll(voice, int(rng.integers(len(samples))))
        scale = np.abs(samples).max() / (np.abs(babble).max() + 1e-6)
        return samples + babble * np.float32(scale * 10 ** (-rng.uniform(8, 25) / 20))


def assumed_alignment(item: Item, tokenizer: Tokenizer) -> list[int]:
    """A token for each encoder frame: letters spread evenly over the speech, blanks outside."""
    first, last = item.speech or (0, 0)
    weights = np.array([max(0.25, tokenizer.letters(token)) for token in item.tokens])
    edges = first + (last - first) * np.concatenate([[0], np.cumsum(weights) / weights.sum()])
    centres = (np.arange(encoder_frames(item.features.shape[1])) * SUBSAMPLING + 3.5) * HOP
    which = np.clip(np.searchsorted(edges, centres, side="right") - 1, 0, len(item.tokens) - 1)
    inside = (centres >= first) & (centres < last)
    return [item.tokens[index] if ok else tokenizer.size for index, ok in zip(which, inside, strict=True)]


def collate(items: list[Item], tokenizer: Tokenizer, flat_start: bool = False) -> Batch:
    frames = torch.tensor([item.features.shape[1] for item in items])
    longest = -(-int(frames.max()) // PADDING_FRAMES) * PADDING_FRAMES
    features = torch.zeros(len(items), items[0].features.shape[0], longest)
    counts = torch.tensor([len(item.tokens) for item in items])
    targets = torch.zeros(len(items), max(1, int(counts.max())), dtype=torch.long)
    alignment = torch.full((len(items), encoder_frames(longest)), -1) if flat_start else None
    for row, item in enumerate(items):
        features[row, :, : item.features.shape[1]] = torch.from_numpy(item.features)
        targets[row, : len(item.tokens)] = torch.tensor(item.tokens, dtype=torch.long)
        if alignment is not None:
            assumed = torch.tensor(assumed_alignment(item, tokenizer))
            alignment[row, : len(assumed)] = assumed
    return Batch(features, frames, targets, counts, alignment)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    frames: int = 5_000
    """Most feature frames of a batch, padding included."""
    lattice: int = 35_000
    """Most (encoder frame, label) cells of a batch: the joint's cost."""
    items: int = 32
    pool: int = 160
    """Items that are sorted by length together."""


class BatchStream(torch.utils.data.IterableDataset[Batch]):
    """Endless batches; the same seed gives the same batches with the same number of workers."""

    def __init__(self, folder: Path, mixture: Mixture, tokenizer_model: Path, seed: int, limits: BatchLimits) -> None:
        self.folder, self.mixture, self.tokenizer_model = folder, mixture, tokenizer_model
        self.seed, self.limits = seed, limits

    def _fits(self, items: list[Item]) -> bool:
        longest = max(item.features.shape[1] for item in items)
        labels = max(len(item.tokens) for item in items) + 1
        lattice = len(items) * encoder_frames(longest) * labels
        limits = self.limits
        return len(items) <= limits.items and len(items) * longest <= limits.frames and lattice <= limits.lattice

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        torch.set_num_threads(1)
        tokenizer = Tokenizer(self.tokenizer_model)
        composer = Composer(self.folder, self.mixture, tokenizer, rng)
        later: list[Item] = []
        while True:
            # Views of one recording don't meet in a pool.
            pool, later = later, []
            while len(pool) < self.limits.pool:
                first, *others = composer.items()
                pool.append(first)
                later += others
            pool.sort(key=lambda item: item.features.shape[1])
            batches: list[list[Item]] = [[]]
            for item in pool:
                if batches[-1] and not self._fits([*batches[-1], item]):
                    batches.append([])
                batches[-1].append(item)
            for index in rng.permutation(len(batches)):
                yield collate(batches[index], tokenizer, self.mixture.flat_start)
