"""Batches for training, put together on the fly from corpora."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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
    over_faint_noise,
    pause,
    recorded,
    voiced,
    white,
)
from mini_parakeet.composition import Composed, Shares, Writer
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Corpus, Samples
from mini_parakeet.features import HOP, Features, log_mel, normalized_log_mel, power_spectrum
from mini_parakeet.model import SUBSAMPLING, encoder_frames
from mini_parakeet.tokenizer import Tokenizer

HUMAN = ("barista", "digits")
"""Groups of human speech: so few voices that they are bent to the full, always or mostly."""
SHORTEST_SAMPLES = 1_920
LONGEST_SAMPLES = 18 * SAMPLE_RATE
LONGEST_CONTEXT = 60
"""Tokens of context that are read, the last ones."""
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
    shares: Shares | None = None
    """How pauses, prefixes and context are made; None: clips stay whole."""
    noise_floor_share: float = 0.0
    """Share of items over the whole of which there is faint noise."""
    lowest_peak: float = -2.1
    """The lowest level of an item's peak, as a power of ten."""
    tight_share: float = 0.0
    """Share of items that begin and end with speech, on top of those whose drawn silences are none."""
    digit_run_share: float = 0.5
    """Share of clips of digits that are joined to numbers."""
    human_full_share: float = 1.0
    """Share of clips of humans that are bent to the full, whatever the rest of the item gets."""


@dataclass(frozen=True, slots=True)
class Item:
    features: Features
    tokens: list[int]
    context: tuple[int, ...] = ()
    """What the prediction network has read before the audio begins."""
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
    contexts: torch.Tensor
    """int64 (B, C), tokens before the audio."""
    context_lengths: torch.Tensor
    alignment: torch.Tensor | None = None
    """int64 (B, T'), a token for each encoder frame, -1 where there is none to learn."""


FOLLOWERS = 3
"""Most clips by one speaker that are composed together."""
REFRESHED_AFTER = 400
"""Items after which new corpora, and new indexes of old ones, are looked for."""


class Speakers:
    """Which clips of a corpus the same voice spoke."""

    def __init__(self, corpus: Corpus) -> None:
        self._by_voice: dict[str, list[int]] = {}
        for index, info in enumerate(corpus.infos):
            if info.text:
                self._by_voice.setdefault(info.voice, []).append(index)

    def others(self, corpus: Corpus, index: int, rng: np.random.Generator) -> list[Clip]:
        """Up to two more clips of the voice of clip `index`, if possible those that were made with it in one go."""
        info = corpus.infos[index]
        if not info.text:
            return []
        beside = [
            other
            for other in range(index + 1, min(index + FOLLOWERS, len(corpus)))
            if (corpus.infos[other].voice, corpus.infos[other].source) == (info.voice, info.source)
        ]
        if not beside:
            same = self._by_voice[info.voice]
            beside = [same[int(rng.integers(len(same)))] for _ in range(FOLLOWERS - 1)]
        return [corpus[other] for other in beside]


class Group:
    """All corpora that begin with one name."""

    def __init__(self, paths: list[Path], weight: float) -> None:
        self.weight = weight
        self.corpora = [Corpus(path) for path in paths]
        self.speakers = [Speakers(corpus) for corpus in self.corpora]
        self.offsets: npt.NDArray[np.int64] = np.cumsum([len(corpus) for corpus in self.corpora])

    def draw(self, rng: np.random.Generator) -> list[Clip]:
        """A clip, and others by its speaker."""
        index = int(rng.integers(self.offsets[-1]))
        which = int(np.searchsorted(self.offsets, index, side="right"))
        index -= int(self.offsets[which - 1]) if which else 0
        corpus = self.corpora[which]
        return [corpus[index], *self.speakers[which].others(corpus, index, rng)]


class Composer:
    """Draws items from a mixture. Not thread-safe: one for each worker."""

    def __init__(self, folder: Path, mixture: Mixture, tokenizer: Tokenizer, rng: np.random.Generator) -> None:
        self.folder, self.mixture, self.tokenizer, self.rng = folder, mixture, tokenizer, rng
        self.writer = Writer(mixture.shares or Shares(0, 0, 0, 0, 0, 0, 0, 0, 0), rng)
        self.drawn = 0
        self._seen: dict[Path, float] = {}
        self.groups: dict[str, Group] = {}
        self.refresh()
        if not self.groups:
            raise FileNotFoundError(f"no corpora of {sorted(mixture.sources)} in {folder}")

    def refresh(self) -> None:
        """Take in corpora that have appeared or changed since."""
        paths: dict[str, list[Path]] = {}
        for name, weight in self.mixture.sources.items():
            found = [
                path for path in sorted(self.folder.glob(f"{name}*.jsonl")) if path.stem not in self.mixture.excluded
            ]
            if found and weight > 0:
                paths[name] = found
        seen = {path: path.stat().st_mtime for found in paths.values() for path in found}
        if seen == self._seen:
            return
        for name, found in paths.items():
            if any(self._seen.get(path) != seen[path] for path in found):
                self.groups[name] = Group([path.with_suffix("") for path in found], self.mixture.sources[name])
        self._seen = seen
        weights = np.array([group.weight for group in self.groups.values()])
        self.names = list(self.groups)
        self.shares = weights / weights.sum()

    def draw_clips(self) -> tuple[str, list[Clip]]:
        name = self.names[int(self.rng.choice(len(self.names), p=self.shares))]
        return name, self.groups[name].draw(self.rng)

    def draw_clip(self) -> tuple[str, Clip]:
        name, clips = self.draw_clips()
        return name, clips[0]

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
        return Item(log_mel(samples), self.tokenizer.encode(clip.text), speech=speech)

    def _digit_run(self, first: Clip) -> Clip:
        """A number in one human's words: more clips of the speaker of `first`, closely joined."""
        rng = self.rng
        corpora = self.groups["digits"].corpora
        own = next(corpus for corpus in corpora if corpus.infos[0].voice == first.voice)
        clips = [first, *(own[int(rng.integers(len(own)))] for _ in range(int(rng.integers(1, 11))))]
        longest_s = float(rng.choice([0.05, 0.15, 0.5]))
        floor = 10 ** rng.uniform(-4, -2.5)
        parts: list[Samples] = []
        cuts: list[int] = []
        position = 0
        for clip in clips:
            parts.append(clip.samples * np.float32(rng.uniform(0.6, 1) / (np.abs(clip.samples).max() + 1e-6)))
            parts.append(white(rng, int(rng.uniform(0, longest_s) * SAMPLE_RATE)) * np.float32(floor))
            cuts.append(position + len(parts[-2]) + len(parts[-1]) // 2)
            position += len(parts[-2]) + len(parts[-1])
        words = " ".join(clip.text.rstrip(".").lower() for clip in clips)
        text = words[0].upper() + words[1:] + "."
        return Clip(np.concatenate(parts[:-1]), text, first.voice, cuts=tuple(cuts[:-1]))

    def _speech(self, strength: Strength) -> Composed:
        """One utterance by one speaker."""
        name, clips = self.draw_clips()
        if name == "digits":
            runs = self.rng.random() < self.mixture.digit_run_share
            clips = [self._digit_run(clips[0]) if runs else clips[0]]
        said = self.writer.compose(clips)
        if name in HUMAN and self.rng.random() < self.mixture.human_full_share:
            strength = FULL
        bent = voiced(said.samples, self.rng, strength, rings_on=not said.ends)
        return replace(said, samples=bent)

    def _silence(self) -> Samples:
        rng = self.rng
        longest_s = 0.0 if rng.random() < 0.3 else 2.4 if rng.random() < 0.3 else 0.6
        return np.zeros(int(rng.uniform(0, longest_s) * SAMPLE_RATE), np.float32)

    def items(self) -> list[Item]:
        """One recording as two items that differ in warp and masks: most of the work is done before those."""
        rng, mixture = self.rng, self.mixture
        if mixture.flat_start:
            return [self.flat_start_item()]
        self.drawn += 1
        if self.drawn % REFRESHED_AFTER == 0:
            self.refresh()
        if rng.random() < mixture.empty_share:
            return [Item(log_mel(non_speech(rng)), [])]
        strength, recording = (GENTLE if rng.random() < mixture.gentle_share else mixture.strength for _ in range(2))
        count = int(rng.integers(2, 6)) if rng.random() < mixture.chain_share else 1
        tight = rng.random() < mixture.tight_share
        parts = [np.zeros(0, np.float32) if tight else self._silence()]
        texts = []
        context = ""
        ends = False
        for number in range(count):
            said = self._speech(strength)
            if number and (said.context or said.ends or sum(map(len, parts)) + len(said.samples) > LONGEST_SAMPLES):
                break
            samples, context, ends = said.samples[:LONGEST_SAMPLES], context or said.context, said.ends
            level = rng.uniform(0.25, 1) if count > 1 else 1.0
            parts += [
                samples * np.float32(level / (np.abs(samples).max() + 1e-6)),
                np.zeros(pause(rng, 1.6), np.float32),
            ]
            texts.append(said.text)
            if context or ends:
                break
        parts[-1] = np.zeros(0, np.float32) if ends or tight else self._silence()
        samples = np.concatenate(parts)
        if rng.random() < 0.08:
            samples = self._with_babble(samples)
        samples = recorded(samples, rng, recording, mixture.lowest_peak)
        if rng.random() < mixture.noise_floor_share:
            samples = over_faint_noise(samples, rng)
        if len(samples) < SHORTEST_SAMPLES:
            samples = np.pad(samples, (0, SHORTEST_SAMPLES - len(samples)))
        tokens = self.tokenizer.encode(" ".join(filter(None, texts)))
        before = tuple(self.tokenizer.encode(context))[-LONGEST_CONTEXT:]
        power = power_spectrum(samples)
        views = [normalized_log_mel(power, drawn_warp(rng, strength)) for _ in range(2)]
        return [Item(masked(view, rng) if rng.random() < 0.8 else view, tokens, before) for view in views]

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
    context_counts = torch.tensor([len(item.context) for item in items])
    contexts = torch.zeros(len(items), int(context_counts.max()), dtype=torch.long)
    alignment = torch.full((len(items), encoder_frames(longest)), -1) if flat_start else None
    for row, item in enumerate(items):
        features[row, :, : item.features.shape[1]] = torch.from_numpy(item.features)
        targets[row, : len(item.tokens)] = torch.tensor(item.tokens, dtype=torch.long)
        contexts[row, : len(item.context)] = torch.tensor(item.context, dtype=torch.long)
        if alignment is not None:
            assumed = torch.tensor(assumed_alignment(item, tokenizer))
            alignment[row, : len(assumed)] = assumed
    return Batch(features, frames, targets, counts, contexts, context_counts, alignment)


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
