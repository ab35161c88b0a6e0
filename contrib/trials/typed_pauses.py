#!/usr/bin/env python3
"""Dictates recordings with a pause in mid-sentence into real windows of a private X server and a private sway.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/typed_pauses.py [--clips FOLDER] [--pause 0.9]. It
needs the programs of `contrib/test.sh --system`. Each recording is dictated to a real daemon in two sessions: as it is, and
with a pause after half its words. A real coldvox-type types into a text field of GTK 3. Without --clips, the recordings are
the bundled samples. Texts are printed only with --show.

Columns: sessions; those after which the window had other characters than the text of the session; recordings of which both
sessions have the same words, and the same text to the character.
"""

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from coldvoxd.core.seams import spelled  # noqa: E402 - the checkout's own
from coldvoxd.core.values import SAMPLE_RATE, Precision  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from tests.support.desktop.spoken_text import Dictation, dictation  # noqa: E402
from tests.support.desktop.windows import SWAY_PROGRAMS, X11_PROGRAMS, Window, lacking, lacking_gtk, sway, x11  # noqa: E402
from tests.support.eventually import eventually  # noqa: E402
from tests.support.sound.pauses import EDGE, halves_of, room  # noqa: E402
from tests.support.sound.speech import Wave, samples  # noqa: E402

MISSING = 69
PATIENCE_S = 15.0


@dataclass
class Row:
    desktop: str
    recordings: int = 0
    sessions: int = 0
    differ: int = 0
    """Sessions after which the window had something else than the text."""
    same_words: int = 0
    same_text: int = 0

    def __str__(self) -> str:
        return (
            f"| {self.desktop} | {self.sessions} | {self.differ} | "
            f"{self.same_words} of {self.recordings} | {self.same_text} of {self.recordings} |"
        )


def paused(wave: Wave, recognizer: ParakeetRecognizer, pause_s: float) -> Wave | None:
    """Return the recording with a pause after half its words; None if it has only one."""
    count = len(recognizer.recognize_samples(wave).words)
    if count < 2:
        return None
    first, second = halves_of(wave, count // 2)
    return np.concatenate((first, room(pause_s - 2 * EDGE / SAMPLE_RATE), second))


def recordings(folder: Path | None, at_most: int) -> list[Wave]:
    if folder is None:
        return [sample.wave() for sample in samples()][:at_most]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".wav"})
    return [np.asarray(soundfile.read(path, dtype="float32")[0]) for path in paths[:: max(1, len(paths) // at_most)]]


async def type_all(
    row: Row, dictating: Dictation, window: Window, pairs: list[tuple[Wave, Wave]], *, show: bool
) -> None:
    for plain, with_pause in pairs:
        texts = []
        for wave in (plain, with_pause):
            before = window.text
            text = await dictating.speak(wave)
            texts.append(text)
            row.sessions += 1
            expected = f"{before} {text}" if before and text else before + text
            with contextlib.suppress(AssertionError):
                await eventually(lambda expected=expected: window.text == expected, patience_s=PATIENCE_S)  # type: ignore[misc]
            if window.text != expected:
                row.differ += 1
            if show:
                print(f"{text!r}: {window.text[len(before) :]!r}", file=sys.stderr)
        row.recordings += 1
        row.same_words += spelled(texts[0]) == spelled(texts[1])
        row.same_text += texts[0] == texts[1]


async def on_desktop(name: str, pairs: list[tuple[Wave, Wave]], *, show: bool) -> Row:
    row = Row(name)
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-pauses-"))
    try:
        with (x11 if name == "x11" else sway)(directory) as desktop:
            async with dictation(desktop, directory, "") as dictating:
                window = await asyncio.to_thread(desktop.gtk, "pauses", "3.0")
                await type_all(row, dictating, window, pairs, show=show)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recordings, 16 kHz")
    parser.add_argument("--at-most", type=int, default=24, metavar="N", help="number of recordings (default: 24)")
    parser.add_argument(
        "--pause", type=float, default=0.9, metavar="SECONDS", help="length of the pause (default: 0.9)"
    )
    parser.add_argument("--show", action="store_true", help="print the texts to standard error")
    arguments = parser.parse_args()
    if reason := lacking((*X11_PROGRAMS, *SWAY_PROGRAMS)) or lacking_gtk("3.0"):
        print(f"pauses: {reason}", file=sys.stderr)
        return MISSING
    os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    pairs = [
        (wave, other)
        for wave in recordings(arguments.clips, arguments.at_most)
        if (other := paused(wave, recognizer, arguments.pause)) is not None
    ]
    print("| desktop | sessions | window differs | same words | same text |\n|---|---|---|---|---|", flush=True)
    differ = 0
    for name in ("x11", "sway"):
        with contextlib.redirect_stdout(io.StringIO()):
            row = asyncio.run(on_desktop(name, pairs, show=arguments.show))
        print(row, flush=True)
        differ += row.differ
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
