"""Clips on disk: one flat file of samples with a JSON line for each clip."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000

Samples = npt.NDArray[np.float32]
"""Mono audio, float32 (n,) in [-1, 1], 16 kHz."""


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """Where a clip lies and what is said in it."""

    start_sample: int
    samples: int
    text: str
    voice: str
    """`engine:voice` of a synthesizer, `digits:speaker` or `barista:cluster` of a human."""
    source: str = ""
    """The file or job it was made from."""
    cuts: tuple[int, ...] = ()
    """Where a word ends and the next begins, in samples from the clip's start: one fewer than the text has words; empty
    where that isn't known."""
    breaks: tuple[int, ...] = ()
    """Which of `cuts`, by index, the speaker paused at, as within a sentence that goes on."""


@dataclass(frozen=True, slots=True)
class Clip:
    samples: Samples
    text: str
    voice: str
    source: str = ""
    cuts: tuple[int, ...] = ()
    breaks: tuple[int, ...] = ()


def _read_info(line: str) -> ClipInfo:
    stored = json.loads(line)
    for name in ("cuts", "breaks"):
        stored[name] = tuple(stored.get(name, ()))
    return ClipInfo(**stored)


def write_index(path: Path, infos: Iterable[ClipInfo]) -> None:
    """Write `path`.jsonl in one piece: whoever reads it meanwhile sees the old one or the new."""
    lines = [json.dumps(asdict(info), ensure_ascii=False) for info in infos]
    part = path.with_suffix(".jsonl.part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path.with_suffix(".jsonl"))


class Corpus:
    """A read-only, memory-mapped sequence of clips."""

    def __init__(self, path: Path) -> None:
        lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        self.infos = [_read_info(line) for line in lines if line]
        self._audio = np.memmap(path.with_suffix(".i16"), dtype="<i2", mode="r")

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, index: int) -> Clip:
        info = self.infos[index]
        raw = self._audio[info.start_sample : info.start_sample + info.samples]
        samples: Samples = raw.astype(np.float32) / np.float32(32768)
        return Clip(samples, info.text, info.voice, info.source, info.cuts, info.breaks)

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))


def write_corpus(path: Path, clips: Iterable[Clip]) -> float:
    """Write `path`.i16 and `path`.jsonl; returns the hours written. The index appears last, when all is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    position = 0
    infos = []
    with path.with_suffix(".i16").open("wb") as audio:
        for clip in clips:
            raw = np.clip(np.round(clip.samples * 32768), -32768, 32767).astype("<i2")
            audio.write(raw.tobytes())
            infos.append(ClipInfo(position, len(raw), clip.text, clip.voice, clip.source, clip.cuts, clip.breaks))
            position += len(raw)
    write_index(path, infos)
    return position / SAMPLE_RATE / 3600
