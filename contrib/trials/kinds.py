#!/usr/bin/env python3
"""Compares the tokens of each kind of Parakeet with onnx-asr's, and those of sherpa-onnx's layout with sherpa-onnx's.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/kinds.py [--every N]. The models are made of the
bundled one: an RNN-T whose last layer is fitted to its tokens, one with the TDT's own layer, which repeats tokens up to the
limit of a frame, a CTC model with a fitted head, models of 80 mel bins, and each transducer in sherpa-onnx's layout. The
clips are the 216 variations of the bundled samples.

Columns of the first table: clips; tokens of the peer; clips with other tokens, or the same ones at other frames, if both get
the peer's features; the same for the whole recognition, with our own features; and those of these with other tokens, and not
only another frame. Of the second table: samples whose frames both decode; tokens; samples with other tokens or frames; and
samples with another text from the recording, whose features sherpa-onnx computes in another way.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import Precision  # noqa: E402 - the checkout's own
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.models.family import (  # noqa: E402
    heard_frames,
    prefer_no_duration,
    replay,
    with_int8,
    write_ctc,
    write_rnnt,
    write_sherpa,
    write_tdt,
    write_with_bins,
)
from tests.support.models.peers import compared, heard_by_sherpa, open_sherpa, pieces_of  # noqa: E402
from tests.support.sound.speech import samples, variations  # noqa: E402

MODELS: dict[str, Callable[[Path], Path]] = {
    "TDT": write_tdt,
    "TDT, 80 bins": partial(write_with_bins, write=write_tdt, bins=80),
    "RNN-T": write_rnnt,
    "RNN-T that repeats tokens": partial(write_rnnt, fitted=False),
    "RNN-T, 80 bins": partial(write_with_bins, write=write_rnnt, bins=80),
    "CTC": write_ctc,
    "CTC, 80 bins": partial(write_ctc, bins=80),
}
SHERPA: dict[str, Callable[[Path], Path]] = {
    "TDT": write_tdt,
    "TDT that repeats tokens": lambda directory: prefer_no_duration(write_tdt(directory)),
    "RNN-T": write_rnnt,
    "RNN-T that repeats tokens": partial(write_rnnt, fitted=False),
}


def with_onnx_asr(folder: Path, every: int) -> None:
    clips = list(variations())[::every]
    print("| model | precision | clips | tokens | other, same features | other, own features | of them other tokens |")
    print("|---|---|---|---|---|---|---|")
    for number, (name, write) in enumerate(MODELS.items()):
        directory = with_int8(write(folder / f"model{number}"))
        for precision in (Precision.FP32, Precision.INT8):
            found = compared(directory, precision, clips)
            parted, alone, ids = (len(names) for names in (found.parted, found.parted_alone, found.other_ids))
            print(f"| {name} | {precision} | {found.clips} | {found.tokens} | {parted} | {alone} | {ids} |", flush=True)


def with_sherpa(folder: Path) -> None:
    print("\n| model | samples | tokens | other, same frames | other text of the recording |\n|---|---|---|---|---|")
    for number, (name, write) in enumerate(SHERPA.items()):
        model = write(folder / f"of-sherpa{number}")
        directory = write_sherpa(folder / f"sherpa{number}", model, numbered=True)
        ours, peer = opened(directory), open_sherpa(directory)
        texts = [
            (ours.recognize_samples(sample.wave()).text, heard_by_sherpa(peer, sample.wave())[0])
            for sample in samples()
        ]
        ours.close()
        tokens = parted = 0
        for frames in heard_frames():
            replay(directory, frames)
            ours = opened(directory)
            heard = pieces_of(ours, ours.recognize_samples(samples()[0].wave()).tokens)
            _, theirs = heard_by_sherpa(open_sherpa(directory), samples()[0].wave())
            ours.close()
            tokens += len(theirs)
            parted += heard != theirs
        other = sum(one != two for one, two in texts)
        print(f"| {name} | {len(texts)} | {tokens} | {parted} | {other} |", flush=True)


def opened(directory: Path) -> ParakeetRecognizer:
    return ParakeetRecognizer.open(find_model(str(directory), Precision.FP32), threads=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth variation only (default: 1)")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        with_onnx_asr(Path(folder), arguments.every)
        with_sherpa(Path(folder))


if __name__ == "__main__":
    main()
