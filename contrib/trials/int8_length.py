#!/usr/bin/env python3
"""Prints what the length of an utterance costs in words and in time, in fp32 and int8.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/int8_length.py [--model NAME] [--time-only].
The bundled samples follow each other with 0.3 s between them until a recording has the wanted length, and each recording is
recognized as a whole, which the daemon does up to `max_utterance_s`. The reference is what was said. A model with random
weights has the time of a real one, and no words: --time-only leaves them out.

Columns: recordings; words that were said; word errors in percent; recognition time as a share of the recording, at each
precision.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.edit_distance import edit_distance  # noqa: E402 - the checkout's own
from coldvoxd.core.seams import spelled  # noqa: E402
from coldvoxd.core.values import SAMPLE_RATE, Precision  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.sound.pauses import strung  # noqa: E402
from tests.support.sound.speech import Wave  # noqa: E402

LENGTHS_S = (3, 5, 10, 15, 20, 30, 60)
PRECISIONS = (Precision.FP32, Precision.INT8)
RECORDINGS = 12


def measure(recognizer: ParakeetRecognizer, clips: list[tuple[Wave, str]]) -> tuple[int, int, float]:
    """Return the words that were said, the errors, and the recognition time as a share of the audio."""
    errors = words = 0
    took_s = audio_s = 0.0
    for wave, said in clips:
        began_s = time.perf_counter()
        found = recognizer.recognize_samples(wave)
        took_s += time.perf_counter() - began_s
        audio_s += len(wave) / SAMPLE_RATE
        reference = [spelled(word) for word in said.split()]
        errors += edit_distance([spelled(word) for word in found.text.split()], reference)
        words += len(reference)
    return words, errors, took_s / audio_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="name or folder of a model (default: mini)")
    parser.add_argument(
        "--count", type=int, default=RECORDINGS, metavar="N", help="recordings of each length (default: 12)"
    )
    parser.add_argument("--time-only", action="store_true", help="leave the words out")
    parser.add_argument("--threads", type=int, default=1, help="threads of a recognition (default: 1)")
    arguments = parser.parse_args()
    print(
        "| at most | recordings | words | fp32 errors | int8 errors | fp32 time | int8 time |\n|---|---|---|---|---|---|---|"
    )
    by_length = {length_s: list(strung(length_s, arguments.count)) for length_s in LENGTHS_S}
    measured: dict[int, list[tuple[int, int, float]]] = {length_s: [] for length_s in LENGTHS_S}
    for precision in PRECISIONS:
        recognizer = ParakeetRecognizer.open(find_model(arguments.model, precision), threads=arguments.threads)
        measure(recognizer, by_length[LENGTHS_S[0]][:1])  # the first run allocates
        for length_s, clips in by_length.items():
            measured[length_s].append(measure(recognizer, clips))
        recognizer.close()
    for length_s, ((words, fp32, fp32_share), (_, int8, int8_share)) in measured.items():
        errors = ["-", "-"] if arguments.time_only else [f"{100 * count / words:.1f} %" for count in (fp32, int8)]
        shown = "-" if arguments.time_only else str(words)
        print(
            f"| {length_s} s | {arguments.count} | {shown} | {errors[0]} | {errors[1]} | "
            f"{100 * fp32_share:.1f} % | {100 * int8_share:.1f} % |"
        )


if __name__ == "__main__":
    main()
