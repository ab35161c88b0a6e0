"""Writes corpora in LibriSpeech's layout, for `coldvoxctl evaluate`.

python -m mini_parakeet.librispeech CORPORA INTO NAME...

Each voice is a speaker, and each corpus a chapter. SPEAKERS.TXT says which number is which voice.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import soundfile

from mini_parakeet.corpus import SAMPLE_RATE, Corpus

FIRST_SPEAKER, FIRST_CHAPTER = 101, 1001


def write(corpora: Path, into: Path, names: Sequence[str]) -> int:
    """Write all clips of these corpora as FLAC; return their number."""
    speakers: dict[str, int] = {}
    written = 0
    for chapter, name in enumerate(names, FIRST_CHAPTER):
        for number, clip in enumerate(Corpus(corpora / name)):
            speaker = speakers.setdefault(clip.voice, FIRST_SPEAKER + len(speakers))
            folder = into / str(speaker) / str(chapter)
            folder.mkdir(parents=True, exist_ok=True)
            identity = f"{speaker}-{chapter}-{number:04}"
            soundfile.write(folder / f"{identity}.flac", clip.samples, SAMPLE_RATE, subtype="PCM_16")
            with (folder / f"{speaker}-{chapter}.trans.txt").open("a", encoding="utf-8") as texts:
                texts.write(f"{identity} {clip.text}\n")
            written += 1
    lines = [f"{number} | {voice}\n" for voice, number in speakers.items()]
    (into / "SPEAKERS.TXT").write_text("".join(lines), encoding="utf-8")
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path, help="folder of the corpora")
    parser.add_argument("into", type=Path, help="folder to write, which is new")
    parser.add_argument("names", nargs="+", help="names of the corpora, such as eval-unseen-flite")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True)
    print(f"{write(arguments.corpora, arguments.into, arguments.names)} clips")


if __name__ == "__main__":
    main()
