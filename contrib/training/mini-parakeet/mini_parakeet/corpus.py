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


@dataclass(frozen=True, slots=True)
class Clip:
    samples: Samples
    text: str
    voice: str
    source: str = ""


class Corpus:
    """A read-only, memory-mapped sequence of clips."""

    def __init__(self, path: Path) -> None:
        lines = path.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
        self.infos = [ClipInfo(**json.loads(line)) for line in lines]
        self._audio = np.memmap(path.with_suffix(".i16"), dtype="<i2", mode="r")

    def __len__(self) -> int:
        return len(self.infos)

    def __getitem__(self, index: int) -> Clip:
        info = self.infos[index]
        raw = self._audio[info.start_sample : info.start_sample + info.samples]
        return Clip(raw.astype(np.float32) / 32768, info.text, info.voice, info.source)

    def __iter__(self) -> Iterator[Clip]:
        return (self[index] for index in range(len(self)))


def write_corpus(path: Path, clips: Iterable[Clip]) -> float:
    """Write `path`.i16 and `path`.jsonl; returns the hours written. The index appears last, when all is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    position = 0
    lines = []
    with path.with_suffix(".i16").open("wb") as audio:
        for clip in clips:
            raw = np.clip(np.round(clip.samples * 32768), -32768, 32767).astype("<i2")
            audio.write(raw.tobytes())
            info = ClipInfo(position, len(raw), clip.text, clip.voice, clip.source)
            lines.append(json.dumps(asdict(info), ensure_ascii=False))
            position += len(raw)
    part = path.with_suffix(".jsonl.part")
    part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    part.replace(path.with_suffix(".jsonl"))
    return position / SAMPLE_RATE / 3600
