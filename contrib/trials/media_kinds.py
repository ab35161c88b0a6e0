#!/usr/bin/env python3
"""Prints a table of kinds of recordings, and what differs from the WAV file when they are transcribed.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/media_kinds.py [--precision fp32]. Each of the
bundled model's samples is encoded with PyAV, and transcribed as `coldvoxctl transcribe --local` does it.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


from coldvoxd.audio.opening import DescriptorFile  # noqa: E402 - the checkout's own
from coldvoxd.audio.streams import Content  # noqa: E402
from coldvoxd.core.file_values import FileTranscript  # noqa: E402
from coldvoxd.core.values import Precision  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.files.joining import Joining  # noqa: E402
from coldvoxd.files.transcription import transcribe_file  # noqa: E402
from coldvoxd.media.decoder import Media  # noqa: E402
from coldvoxd.media.pieces import pieces  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from tests.support.sound.media import KINDS, Kind, encoded  # noqa: E402
from tests.support.sound.speech import Sample, samples  # noqa: E402
from tests.support.sound.talk import changes, words_of  # noqa: E402


@dataclass
class Row:
    texts: int = 0
    same: int = 0
    words: int = 0
    changed: int = 0
    size: int = 0
    deviation_s: float = 0.0

    def count(self, right: FileTranscript, found: FileTranscript, size: int) -> None:
        said, heard = words_of(right.text), words_of(found.text)
        self.texts += 1
        self.same += said == heard
        self.words += len(said)
        self.changed += sum(changes(said, heard))
        self.size += size
        if said == heard:
            pairs = zip(right.words, found.words, strict=True)
            self.deviation_s = max([self.deviation_s, *(abs(one.start_s - other.start_s) for one, other in pairs)])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32")
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision(parser.parse_args().precision)))
    right = {sample.name: transcribe_file(sample.path, recognizer, SileroDetector()) for sample in samples()}
    print("| recording | Hz | same texts | words changed | word times differ by at most | size of the WAV |")
    print("|---|---|---|---|---|---|")
    for name, kind in KINDS.items():
        row = Row()
        for sample in samples():
            row.count(right[sample.name], *transcribed(sample, kind, recognizer))
        share = row.size / sum(2 * len(sample.wave()) for sample in samples())
        print(
            f"| {name} | {kind.rate} | {row.same} of {row.texts} | {row.changed} of {row.words} | "
            f"{row.deviation_s:.2f} s | {100 * share:.0f} % |",
            flush=True,
        )
    recognizer.close()


def transcribed(sample: Sample, kind: Kind, recognizer: ParakeetRecognizer) -> tuple[FileTranscript, int]:
    """Return the transcript of a sample that was encoded, and the size of the file."""
    content, joining = encoded(kind, sample.wave()), Joining()
    with opened(content) as media:
        for piece in pieces(media.blocks(joining.warn), SileroDetector):
            joining.add(transcribe_file(piece.descriptor, recognizer, SileroDetector()), piece.start_s, piece.end_s)
    return joining.result(), len(content)


@contextmanager
def opened(content: bytes) -> Iterator[Media]:
    """Open a recording in memory."""
    memory = os.memfd_create("recording")
    os.write(memory, content)
    media = Media.open(DescriptorFile(memory), "the file", Content(memory))
    try:
        yield media
    finally:
        media.close()
        os.close(memory)


if __name__ == "__main__":
    main()
