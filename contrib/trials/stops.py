#!/usr/bin/env python3
"""Prints how many words a stop in the last syllable costs, and how long a session listens after it, with the bundled model.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/stops.py [--clips FOLDER]. Each recording is
dictated to real sessions, without waiting for real time, and stopped at these moments before and after the end of its last
speech. The text is compared with that of a session that listens for the whole of `stop_tail_ms`. Without --clips, the
recordings are 216 variations of the bundled samples. Texts are never printed.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import soxr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Precision, samples_in  # noqa: E402 - the checkout's own
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.sound.speech import Wave, variations  # noqa: E402
from tests.support.stopped_speech import LAST_SYLLABLE_MS, StoppedSpeech  # noqa: E402

AFTERWARDS_MS = (60, 128, 200, 300)
"""Times of a stop, in milliseconds after the end of the last speech."""


def recordings(folder: Path | None) -> Iterator[Wave]:
    if folder is None:
        yield from (wave for _, wave in variations())
        return
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".wav"}):
        wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
        yield np.asarray(soxr.resample(wave.mean(axis=1), rate, SAMPLE_RATE), np.float32)


async def row(spoken: list[StoppedSpeech], after_ms: int) -> str:
    """Stop each recording this long after its last speech; return the row of the table."""
    other = 0
    listened_ms = []
    for recording in spoken:
        called_sample = recording.last_speech_sample + samples_in(after_ms)
        text, end_sample = await recording.stopped(called_sample)
        other += text != await recording.after_whole_tail(called_sample)
        listened_ms.append(1000 * (end_sample - called_sample) / SAMPLE_RATE)
    moment = f"{abs(after_ms)} ms {'after' if after_ms >= 0 else 'before'}"
    return f"| {moment} | {len(spoken)} | {other} | {median(listened_ms):.0f} ms | {max(listened_ms):.0f} ms |"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recordings")
    arguments = parser.parse_args()
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    spoken = [StoppedSpeech(wave, recognizer) for wave in recordings(arguments.clips)]
    print(f"Frames have {1000 * FRAME_SAMPLES / SAMPLE_RATE:.0f} ms; a session ends with a whole one.\n")
    print("| stop, from the end of the last speech | stops | other text | listened on, median | at most |")
    print("|---|---|---|---|---|")
    for after_ms in (*(-before_ms for before_ms in LAST_SYLLABLE_MS), *AFTERWARDS_MS):
        print(await row(spoken, after_ms), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
