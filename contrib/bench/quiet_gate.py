#!/usr/bin/env python3
"""Compares the quiet gate with the voice activity model alone on recordings of people: decisions and savings.

usage: contrib/bench/quiet_gate.py DIRECTORY

Takes every recording (FLAC or WAV) below the directory, as it is and in a room's noise at several ratios, with 12 s of
the same room before each, and prints per ratio: frames, frames that the gate skipped, and frames for which the two are
on different sides of a threshold. The exit code is 1 if there are any.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.audio.file import AudioFile
from coldvoxd.core.audio_values import Frame
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.dictation.quiet_gate import QuietGate
from coldvoxd.vad.silero import SileroDetector

RATIOS_DB = (40, 20, 10, 5, 0)
BETWEEN_S = 12
THRESHOLDS = (0.5, 0.35)
LONGEST_S = 60
"""Limit per recording."""


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print(__doc__, file=sys.stderr)
        return 64
    files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in {".flac", ".wav"})
    otherwise = 0
    print(
        f"{len(files)} recordings\n\n| speech to noise | frames | passed over | decided otherwise |\n|---|---|---|---|"
    )
    for ratio_db in (None, *RATIOS_DB):
        frames = passed_over = parted = 0
        gate, detector = QuietGate(SileroDetector()), SileroDetector()
        detector.follow_level(False)  # as at rest
        for number, file in enumerate(files):
            for frame in heard(file, ratio_db, number):
                ours = gate.score(Frame(0, frame), at_rest=True).speech_probability
                theirs = detector.score(frame)
                frames += 1
                parted += any((ours >= threshold) != (theirs >= threshold) for threshold in THRESHOLDS)
        passed_over, otherwise = gate.passed_over, otherwise + parted
        name = "as recorded, silence between" if ratio_db is None else f"{ratio_db} dB"
        print(f"| {name} | {frames} | {passed_over / frames:.0%} | {parted} |", flush=True)
    return min(1, otherwise)


def heard(file: Path, ratio_db: float | None, seed: int) -> npt.NDArray[np.int16]:
    """Return int16 (frames, 512) of the room and then the recording in it."""
    wave = np.concatenate(list(AudioFile.open(file).blocks()))[: LONGEST_S * SAMPLE_RATE]
    padded = np.concatenate([np.zeros(BETWEEN_S * SAMPLE_RATE, np.float32), wave])
    if ratio_db is not None:
        loud = np.sqrt(np.mean(np.square(wave)))
        lines = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, len(padded)))
        noise = np.fft.irfft(lines / np.sqrt(np.arange(len(lines)) + 20), len(padded))
        padded = padded + noise / noise.std() * loud * 10 ** (-ratio_db / 20)
    steps = np.clip(np.round(padded * 32767), -32768, 32767).astype(np.int16)
    return steps[: len(steps) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


if __name__ == "__main__":
    sys.exit(main())
