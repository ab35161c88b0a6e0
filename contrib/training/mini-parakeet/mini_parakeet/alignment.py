"""Where words end in clips whose synthesizer doesn't say: from the times at which a trained model emits its tokens."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mini_parakeet.checkpoint import load_model
from mini_parakeet.corpus import SAMPLE_RATE, Corpus, Samples, write_index
from mini_parakeet.features import HOP, log_mel
from mini_parakeet.model import SUBSAMPLING, MiniParakeet
from mini_parakeet.tokenizer import WORD_MARK, Tokenizer

EMITTED_AFTER_S = 0.046
"""By how much the first token of a word comes after the word's beginning, the median of 325 words of Kokoro's voices,
whose beginnings are known; half of them lie within 40 ms of it."""
SEARCHED_S = (-0.07, 0.06)
"""Around the expected place, where the quietest moment is looked for."""
SHORTEST_WORD = 640
"""Samples that a word has at least (40 ms); where there are fewer, a token's time was far from its word."""
LEVEL_WINDOW = 160
PADDING = (3_200, 4_800)
"""Silence around a clip while it is recognized, in samples."""


def quietest(samples: Samples, first: int, last: int) -> int:
    """The middle of the quietest 10 ms that begin within [first, last)."""
    first = max(0, min(first, len(samples) - LEVEL_WINDOW - 1))
    last = max(first + 1, min(last, len(samples) - LEVEL_WINDOW))
    power = np.cumsum(np.square(samples[first : last + LEVEL_WINDOW], dtype=np.float64))
    return first + int(np.argmin(power[LEVEL_WINDOW:] - power[:-LEVEL_WINDOW])) + LEVEL_WINDOW // 2


def cuts_of(samples: Samples, starts_s: Iterable[float]) -> tuple[int, ...]:
    """A cut for each word but the first, from the times of their first tokens; none if one of them is wrong."""
    cuts: list[int] = []
    for start_s in list(starts_s)[1:]:
        expected = start_s - EMITTED_AFTER_S
        first, last = (int((expected + side) * SAMPLE_RATE) for side in SEARCHED_S)
        cuts.append(max(quietest(samples, first, last), cuts[-1] + 1 if cuts else 1))
    shortest = min(np.diff([0, *cuts, len(samples)]), default=0)
    return tuple(cuts) if shortest >= SHORTEST_WORD else ()


def aligned(model: MiniParakeet, tokenizer: Tokenizer, samples: Samples, text: str) -> tuple[int, ...]:
    """The cuts of a clip, or none where the model doesn't hear exactly `text`."""
    features = torch.from_numpy(log_mel(np.pad(samples, PADDING)))
    timed = model.transcribe_timed(features)
    if tokenizer.decode([token for token, _ in timed]) != text:
        return ()
    pieces = tokenizer.pieces()
    frames = [frame for token, frame in timed if pieces[token].startswith(WORD_MARK)]
    return cuts_of(samples, [(frame * SUBSAMPLING * HOP - PADDING[0]) / SAMPLE_RATE for frame in frames])


def align(path: Path, model: MiniParakeet, tokenizer: Tokenizer, limit: int) -> tuple[int, int]:
    """Write the cuts of the first `limit` clips into the index of `path`; returns how many of how many got some."""
    corpus = Corpus(path)
    infos = list(corpus.infos)
    several = [index for index, info in enumerate(infos[:limit]) if len(info.text.split()) > 1 and not info.cuts]
    found = 0
    for index in several:
        cuts = aligned(model, tokenizer, corpus[index].samples, infos[index].text)
        infos[index] = replace(infos[index], cuts=cuts)
        found += bool(cuts)
    write_index(path, infos)
    return found, len(several)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", help="NAME or NAME:LIMIT, to align the first LIMIT clips only")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--scorer", default="shipped", help="stage whose weights emit the tokens")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(arguments.work / f"{arguments.scorer}.pt")
    tokenizer = Tokenizer(arguments.work / "tokenizer.model")
    for wanted in arguments.corpora:
        name, _, limit = wanted.partition(":")
        marker = arguments.work / "corpus" / f"{name}.aligned"
        if marker.exists():
            continue
        found, tried = align(arguments.work / "corpus" / name, model, tokenizer, int(limit or 1_000_000))
        marker.touch()
        print(f"{name}: cuts found in {found} of {tried} clips", flush=True)


if __name__ == "__main__":
    main()
