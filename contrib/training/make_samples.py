#!/usr/bin/env python3
"""Synthesizes the sample recordings of the model `mini`: short sentences within its vocabulary, in several voices.

    .venv/bin/python contrib/training/make_samples.py

Needs the program espeak-ng. For each sentence it keeps the recording that is there if the model recognizes it exactly in
every precision. Otherwise it tries the voices in turn, and takes the first one that is recognized. So run it again for new
weights, and then contrib/training/make_manifest.py. The title tag of each file is its sentence.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import SAMPLE_RATE  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402 - imported from this checkout
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.models.directories import bundled_directory  # noqa: E402
from coldvoxd.models.layout import precisions  # noqa: E402

SAMPLES = ROOT / "coldvoxd/data/mini/samples"

SENTENCES = (
    "Open the file.",
    "Please close the window.",
    "Hello Anna, send the message to Peter.",
    "Where is the old report?",
    "What is in the red list?",
    "One two three four five.",
    "I need twelve new pages.",
    "The meeting is on Monday morning.",
    "Call Maria tomorrow.",
    "We will read this report on Friday.",
    "I have three messages from John.",
    "Copy my text and delete that line.",
    "The blue door is not small.",
    "The pictures are not big.",
    "Alpha bravo seven nine.",
    "You can save it with David.",
    "When is the next meeting?",
    "Can you print the page?",
    "Who will check the code?",
    "Yes, show your note tonight.",
    "Thank you, Maria.",
    "Good morning, John.",
    "Find the last mail at ten.",
    "Write a message on Wednesday evening.",
)
VOICES = (
    "en-us",
    "en-gb",
    "en-us+f2",
    "en-gb+m3",
    "en-us+steph",
    "en-us+m7",
    "en-gb+Annie",
    "en-us+max",
    "en-gb-scotland+robert",
    "en-us+belinda",
)
"""Voices of espeak-ng: accent and variant."""
WORDS_PER_MINUTE = (150, 165, 140)
PEAK = 0.5
BORDER_S = 0.3
"""Seconds of room noise before and after, which a speech detector needs for comparison."""
ROOM_RMS = 10 ** (-62 / 20)
"""RMS of the noise throughout: no room is exactly silent, and Parakeet handles exact silence badly."""


def synthesize(sentence: str, voice: str, words_per_minute: int, seed: int) -> npt.NDArray[np.int16]:
    """Return the sentence in a quiet room, int16 (n,), 16 kHz."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", sentence], check=True, capture_output=True
    ).stdout
    rate = int.from_bytes(spoken[24:28], "little")
    # The header of a streamed WAV file has 44 bytes and does not give the length of the data.
    wave = np.frombuffer(spoken[44:], dtype="<i2").astype(np.float32)
    wave = soxr.resample(wave, rate, SAMPLE_RATE).astype(np.float32)
    loud = np.flatnonzero(np.abs(wave) > 0.01 * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1]
    wave = np.pad(wave * (PEAK / np.abs(wave).max()), round(BORDER_S * SAMPLE_RATE))
    wave += np.random.default_rng(seed).normal(0.0, ROOM_RMS, len(wave)).astype(np.float32)
    return np.round(wave * 32767).clip(-32768, 32767).astype(np.int16)


def renderings(sentence: str, number: int) -> Iterator[tuple[str, npt.NDArray[np.int16]]]:
    """Yield the sentence in each voice and speed; each sentence starts with a different voice."""
    for turn in range(len(VOICES) * len(WORDS_PER_MINUTE)):
        voice = VOICES[(number + turn) % len(VOICES)]
        pace = WORDS_PER_MINUTE[(number + turn // len(VOICES)) % len(WORDS_PER_MINUTE)]
        yield f"{voice} at {pace}", synthesize(sentence, voice, pace, seed=number)


def is_heard(wave: npt.NDArray[np.int16], sentence: str, recognizers: list[ParakeetRecognizer]) -> bool:
    """Return whether all recognizers recognize exactly this sentence."""
    samples = wave.astype(np.float32) / np.float32(32768)
    return all(recognizer.recognize_samples(samples).text == sentence for recognizer in recognizers)


def record(path: Path, sentence: str, number: int, recognizers: list[ParakeetRecognizer]) -> bool:
    """Keep the file, or write it in the first voice that is recognized; return whether there is one."""
    if path.exists() and is_heard(soundfile.read(path, dtype="int16")[0], sentence, recognizers):
        print(f"{path.name}: kept")
        return True
    for voice, wave in renderings(sentence, number):
        if is_heard(wave, sentence, recognizers):
            with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file:
                file.title, file.comment = sentence, f"espeak-ng {voice}"
                file.write(wave)
            print(f"{path.name}: {voice}, {len(wave) / SAMPLE_RATE:.1f} s")
            return True
    return False


def main() -> int:
    bundled = bundled_directory()
    recognizers = [ParakeetRecognizer.open(find_model(str(bundled), precision)) for precision in precisions(bundled)]
    SAMPLES.mkdir(parents=True, exist_ok=True)
    names = []
    for number, sentence in enumerate(SENTENCES):
        name = "-".join("".join(c for c in word.lower() if c.isalpha()) for word in sentence.split())
        names.append(f"{number:02d}-{name}.flac")
    for old in SAMPLES.glob("*.flac"):
        if old.name not in names:
            old.unlink()
    unheard = [
        sentence
        for number, sentence in enumerate(SENTENCES)
        if not record(SAMPLES / names[number], sentence, number, recognizers)
    ]
    for sentence in unheard:
        print(f"no voice in which the model hears: {sentence}", file=sys.stderr)
    return 1 if unheard else 0


if __name__ == "__main__":
    sys.exit(main())
