#!/usr/bin/env python3
"""Compares whisper.cpp on a converted model with faster-whisper on the original files, text by text.

contrib/trials/whisper_equality.py --model DIRECTORY --peer PYTHON [CLIP...]

DIRECTORY has a Whisper model of CTranslate2, which `contrib/dev/whisper_to_ggml.py` converts. PYTHON is an interpreter with
faster-whisper, in an environment of its own, because it requires another build of ONNX Runtime. Both decode greedily at
temperature 0, without context. faster-whisper receives the audio with zeros up to 30 s, as OpenAI's program and whisper.cpp compute
the features: by itself it fills the features with zeros, which is a medium level and not silence, and recognizes other words.
Without CLIP the samples of the bundled model are compared. The exit code is 1 if a text differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import EndReason, Utterance  # noqa: E402 - the checkout's own
from coldvoxd.engines.whisper import ENGINE  # noqa: E402
from tests.support.models.fallback import converted  # noqa: E402
from tests.support.sound.speech import samples  # noqa: E402

PEER = """
import itertools, json, sys
import numpy as np
from faster_whisper import WhisperModel, decode_audio
model = WhisperModel(sys.argv[1], device="cpu", compute_type="float32", cpu_threads=int(sys.argv[2]), local_files_only=True)
for clip in sys.argv[3:]:
    wave = decode_audio(clip)
    segments, _ = model.transcribe(
        np.pad(wave, (0, 480_000 - len(wave))), language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False,
        compression_ratio_threshold=None, log_prob_threshold=None, no_speech_threshold=None,
    )
    first_window = itertools.takewhile(lambda segment: segment.seek == 0, segments)
    print(json.dumps("".join(segment.text for segment in first_window)), flush=True)
"""


def of_peer(python: Path, model: Path, threads: int, clips: list[Path]) -> list[str]:
    """Return faster-whisper's text of each clip."""
    command = [str(python), "-c", PEER, str(model), str(threads), *map(str, clips)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [str(json.loads(line)) for line in ended.stdout.splitlines()]


def of_ours(file: Path, threads: int, clips: list[Path]) -> list[str]:
    """Return whisper.cpp's text of each clip, through the fallback engine."""
    recognizer = ENGINE.open(file, threads)
    texts = []
    for clip in clips:
        wave, _ = soundfile.read(clip, dtype="float32")
        texts.append(recognizer.recognize(Utterance(1, 1, 0, wave, EndReason.ENDPOINT, language="en")).text)
    recognizer.close()
    return texts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--peer", type=Path, required=True, metavar="PYTHON")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("clips", type=Path, nargs="*", metavar="CLIP")
    arguments = parser.parse_args()
    clips = arguments.clips or [sample.path for sample in samples()]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "ggml.bin"
        converted(arguments.model, file)
        ours = of_ours(file, arguments.threads, clips)
    theirs = [" ".join(text.split()) for text in of_peer(arguments.peer, arguments.model, arguments.threads, clips)]
    print("| clip | faster-whisper | whisper.cpp |\n|---|---|---|")
    for clip, text, peer in zip(clips, ours, theirs, strict=True):
        print(f"| {clip.stem} | {peer} | {'the same' if text == peer else text} |")
    equal = sum(text == peer for text, peer in zip(ours, theirs, strict=True))
    print(f"\n{equal} of {len(clips)} texts are equal.")
    return 0 if equal == len(clips) else 1


if __name__ == "__main__":
    sys.exit(main())
