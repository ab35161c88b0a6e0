#!/usr/bin/env python3
"""Prints what it saves to encode several pieces of a recording at once, and whether the tokens stay the same.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/batching.py [--model NAME] [--provider NAME]
[--count N] [--threads N] [--precision NAME]. The pieces are bundled samples that follow each other up to a length, which differs
by at most a quarter within a group. Each group is recognized alone and together, three times in turn; the best time of each
counts.

Columns: mean length; pieces in a group; groups; time of a whole recognition (features, encoder, decoder) against that of the
pieces one by one; pieces with the same tokens.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import SAMPLE_RATE, EndReason, Precision, Utterance  # noqa: E402 - the checkout's own
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.sound.pauses import strung  # noqa: E402

LENGTHS_S = (3, 8, 15)
SIZES = (2, 4, 8)


def measure(recognizer: ParakeetRecognizer, group: tuple[Utterance, ...]) -> tuple[float, float, int]:
    """Return the seconds alone and together, and the number of pieces with the same tokens."""
    alone_s = together_s = float("inf")
    same = 0
    for _ in range(3):
        began_s = time.perf_counter()
        alone = [recognizer.recognize(piece) for piece in group]
        alone_s = min(alone_s, time.perf_counter() - began_s)
        began_s = time.perf_counter()
        ahead = recognizer.encode_ahead(group)
        together = [recognizer.recognize(piece) for piece in ahead]
        together_s = min(together_s, time.perf_counter() - began_s)
        same = sum(
            [token.id for token in one.tokens] == [token.id for token in other.tokens]
            for one, other in zip(alone, together, strict=True)
        )
        if any(piece.encoded is None for piece in ahead):
            raise SystemExit("this model, as it is opened here, takes one piece at a time")
    return alone_s, together_s, same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="name or folder of a model (default: mini)")
    parser.add_argument("--provider", default="cpu", metavar="NAME")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "fp16", "int8"))
    parser.add_argument("--count", type=int, default=16, metavar="N", help="pieces of each length (default: 16)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0: one for each physical core")
    arguments = parser.parse_args()
    files = find_model(arguments.model, Precision(arguments.precision))
    recognizer = ParakeetRecognizer.open(files, arguments.provider, arguments.threads)
    print(f"{recognizer.provider}, {arguments.precision}\n")
    print("| length | together | groups | time against one by one | same tokens |\n|---|---|---|---|---|")
    for length_s in LENGTHS_S:
        waves = sorted((wave for wave, _ in strung(length_s, arguments.count)), key=len)
        pieces = [Utterance(at, 0, 0, wave, EndReason.LENGTH) for at, wave in enumerate(waves)]
        mean_s = sum(map(len, waves)) / len(waves) / SAMPLE_RATE
        for size in (size for size in SIZES if size <= len(pieces)):
            groups = [tuple(pieces[at : at + size]) for at in range(0, len(pieces) - size + 1, size)]
            alone_s, together_s, same = (
                sum(column) for column in zip(*(measure(recognizer, group) for group in groups), strict=True)
            )
            print(
                f"| {mean_s:.1f} s | {size} | {len(groups)} | {together_s / alone_s:.2f} | "
                f"{same} of {size * len(groups)} |",
                flush=True,
            )
    recognizer.close()


if __name__ == "__main__":
    main()
