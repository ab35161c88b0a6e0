"""Human speech: the spoken digits, and the barista commands with the words found by forced scoring."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
import torch.nn.functional as F
from scipy.cluster.hierarchy import fcluster, linkage

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples, write_corpus
from mini_parakeet.features import FFT_SIZE, HOP, filterbank, log_mel
from mini_parakeet.grammar import DIGITS, capitalized, command_candidates
from mini_parakeet.model import SUBSAMPLING, MiniParakeet
from mini_parakeet.synthesis import to_clip_rate
from mini_parakeet.tdt_loss import tdt_loss
from mini_parakeet.tokenizer import Tokenizer

SPEAKERS = ["george", "jackson", "lucas", "nicolas"]
DIGIT_RATE = 8_000
FIRST_HELD_OUT_TAKE = 45
"""Takes from this one on are never trained on, whoever speaks."""
COMMAND_CLUSTERS = 50
HELD_OUT_COMMANDS = 100


@dataclass(frozen=True, slots=True)
class SpokenDigit:
    digit: int
    take: int
    samples: npt.NDArray[np.float32]
    """float32 (n,) at 8 kHz, as published."""

    @property
    def text(self) -> str:
        return capitalized(DIGITS[self.digit]) + "."

    @property
    def held_out(self) -> bool:
        return self.take >= FIRST_HELD_OUT_TAKE


def spoken_digits(data: Path, speaker: str) -> Iterator[SpokenDigit]:
    audio, rate = soundfile.read(data / "spoken-digits" / f"{speaker}.flac", dtype="float32")
    if rate != DIGIT_RATE:
        raise ValueError(f"{speaker}.flac has {rate} Hz instead of {DIGIT_RATE}")
    with (data / "spoken-digits" / f"{speaker}.tsv").open(encoding="utf-8") as index:
        for row in csv.DictReader(index, delimiter="\t"):
            start, length = int(row["start_sample"]), int(row["samples"])
            yield SpokenDigit(int(row["digit"]), int(row["take"]), audio[start : start + length])


@dataclass(frozen=True, slots=True)
class SpokenCommand:
    name: str
    samples: Samples
    slots: dict[str, str]
    cluster: int
    held_out: bool


def channel_signature(samples: Samples) -> npt.NDArray[np.float64]:
    """Who speaks and through what, float64 (160,): level-free long-term spectrum, loud and quiet moments apart."""
    frames = len(samples) // HOP
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, FFT_SIZE // 2), FFT_SIZE)[::HOP][:frames]
    logs = np.log(np.abs(np.fft.rfft(windows * np.hanning(FFT_SIZE), axis=-1)) ** 2 @ filterbank() + 1e-10)
    level = logs.mean(axis=1)
    loud, quiet = logs[level >= np.quantile(level, 0.6)], logs[level <= np.quantile(level, 0.15)]
    parts = [loud.mean(0) - loud.mean(), quiet.mean(0) - loud.mean(), loud.std(0)]
    banded = [part.reshape(-1, 4).mean(axis=1) for part in parts]
    return np.concatenate([banded[0] * 2, banded[1], banded[2]])


@cache
def spoken_commands(data: Path) -> list[SpokenCommand]:
    """All commands. No speakers are named, so clips are clustered by how they sound and whole clusters held out."""
    labels = json.loads((data / "barista" / "label.json").read_text(encoding="utf-8"))
    names = sorted(labels)
    audio = [to_clip_rate(*soundfile.read(data / "barista" / name, dtype="float32")) for name in names]
    signatures = np.stack([channel_signature(samples) for samples in audio])
    signatures = (signatures - signatures.mean(0)) / (signatures.std(0) + 1e-6)
    clusters = fcluster(linkage(signatures, "ward"), COMMAND_CLUSTERS, "maxclust")
    held_out: set[int] = set()
    count = 0
    for cluster in np.random.default_rng(3).permutation(np.unique(clusters)):
        size = int((clusters == cluster).sum())
        if count + size <= HELD_OUT_COMMANDS + 5:
            held_out.add(int(cluster))
            count += size
    return [
        SpokenCommand(
            name,
            samples,
            {slot: value.strip() for slot, value in labels[name]["slots"].items()},
            int(cluster),
            int(cluster) in held_out,
        )
        for name, samples, cluster in zip(names, audio, clusters, strict=True)
    ]


@torch.no_grad()
def best_candidate(
    model: MiniParakeet, tokenizer: Tokenizer, samples: Samples, texts: list[str], by_ctc: bool = True
) -> tuple[str, float]:
    """The text that the model finds likeliest, and how far (in nats) the runner-up lies behind.

    CTC ranks all candidates, then the transducer's own loss is added for the best eight. Without `by_ctc`, as for
    weights read from ONNX files, which have no such head, the transducer ranks them all.
    """
    features = torch.from_numpy(log_mel(samples))[None]
    encoded, lengths = model.encoder(features, torch.tensor([features.shape[2]]))
    encoded = encoded.transpose(1, 2)
    ids = [torch.tensor(tokenizer.encode(text)) for text in texts]
    counts = torch.tensor([len(tokens) for tokens in ids])
    targets = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    frames = lengths.expand(len(texts))
    if by_ctc:
        log_probabilities = torch.log_softmax(model.ctc(encoded), -1)
        ctc = F.ctc_loss(
            log_probabilities.transpose(0, 1).expand(-1, len(texts), -1),
            targets,
            frames,
            counts,
            blank=tokenizer.size,
            reduction="none",
        )
        chosen = ctc.argsort()[:8]
    else:
        ctc = torch.zeros(len(texts))
        chosen = torch.arange(len(texts))
    total = ctc[chosen]
    starts = torch.full((len(texts), 1), tokenizer.size)
    for begin in range(0, len(chosen), 16):
        rows = chosen[begin : begin + 16]
        predicted, _ = model.decoder.predict(torch.cat([starts[rows], targets[rows]], 1))
        logits = model.decoder.join(encoded, predicted)
        total[begin : begin + 16] += tdt_loss(logits, targets[rows], frames[rows], counts[rows], sigma=0.0)
    order = total.argsort()
    margin = float(total[order[1]] - total[order[0]]) if len(order) > 1 else float("inf")
    return texts[int(chosen[order[0]])], margin


@torch.no_grad()
def heard_frames(model: MiniParakeet, features: torch.Tensor, by_ctc: bool) -> list[int]:
    """The encoder frames in which the model hears a token."""
    if not by_ctc:
        return [frame for _, frame in model.transcribe_timed(features)]
    encoded, _ = model.encoder(features[None], torch.tensor([features.shape[1]]))
    heard = (model.ctc(encoded.transpose(1, 2))[0].argmax(-1) != model.decoder.blank).nonzero().flatten()
    return [int(frame) for frame in heard]


@torch.no_grad()
def spoken_part(model: MiniParakeet, samples: Samples, margin_s: float, by_ctc: bool = True) -> Samples:
    """From `margin_s` before the first frame in which the model hears a token to as long after the last."""
    heard = heard_frames(model, torch.from_numpy(log_mel(samples)), by_ctc)
    if len(heard) == 0:
        return samples
    frame_samples = SUBSAMPLING * HOP
    margin = int(margin_s * SAMPLE_RATE)
    first, last = heard[0] * frame_samples, (heard[-1] + 1) * frame_samples
    return samples[max(0, first - margin) : last + margin]


def write_digits(data: Path, out: Path) -> None:
    """One corpus a speaker, at 16 kHz, without the held-out takes."""
    for speaker in SPEAKERS:
        path = out / f"digits-{speaker}"
        if not path.with_suffix(".jsonl").exists():
            digits = (digit for digit in spoken_digits(data, speaker) if not digit.held_out)
            clips = (
                Clip(to_clip_rate(digit.samples, DIGIT_RATE), digit.text, f"digits:{speaker}", f"take {digit.take}")
                for digit in digits
            )
            write_corpus(path, clips)


def write_commands(
    commands: list[SpokenCommand], model: MiniParakeet, tokenizer: Tokenizer, path: Path, by_ctc: bool = True
) -> float:
    """Write the training commands with the words that `model` finds; returns the mean margin in nats.

    Half of a recording is room: two of three are cut to the words and what is near them, the third stays whole.
    """
    model.eval()
    clips: list[Clip] = []
    margins: list[float] = []
    for command in commands:
        if command.held_out:
            continue
        keep_all = len(clips) % 3 == 2
        candidates = list(command_candidates(command.slots))
        text, margin = best_candidate(model, tokenizer, command.samples, candidates, by_ctc)
        samples = command.samples if keep_all else spoken_part(model, command.samples, 0.5, by_ctc)
        clips.append(Clip(samples, text, f"barista:{command.cluster}", command.name))
        margins.append(min(margin, 50.0))
    write_corpus(path, clips)
    return float(np.mean(margins))
