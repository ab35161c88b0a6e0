#!/usr/bin/env python3
"""Prints what an hour of the bundled model's sentences loses where it is cut, and the memory that it takes.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/long_recording.py [--minutes 60]. Two
recordings, one with pauses and one without, are transcribed by a real daemon on a private bus: as a WAV file, which the
daemon reads, as M4A, which coldvoxctl decodes, and through a pipe. They are also cut into pieces of one minute, to have
many cuts. --ways selects some of these. Texts are compared with those of the sentences, each recognized by itself, and
with what was said.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from coldvoxd.core.values import Precision  # noqa: E402 - the checkout's own
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.files.joining import Joining  # noqa: E402
from coldvoxd.files.transcription import transcribe_file  # noqa: E402
from coldvoxd.media.conversion import Samples  # noqa: E402
from coldvoxd.media.pieces import Limits, pieces  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from tests.support.bus.private_bus import PrivateBus  # noqa: E402
from tests.support.daemon.process import RunningDaemon, daemon  # noqa: E402
from tests.support.sound.media import KINDS, encoded  # noqa: E402
from tests.support.sound.talk import Talk, changes, talk, words_of  # noqa: E402

MINUTE = Limits(most_s=60, search_s=20, overlap_s=5)
LOOK_S = 0.2
WAYS = ("minutes", "wav", "m4a", "pipe")
RECORDINGS = {"pauses": (0.5, 3.0), "no-pauses": (0.0, 0.0)}
"""Shortest and longest pause in seconds, by name."""


@dataclass
class Peak:
    """The greatest use of memory that was seen, in bytes."""

    resident: int = 0
    recordings: int = 0
    """Memory files, which are not part of the above."""

    def look(self, process: int) -> None:
        status = Path(f"/proc/{process}/status").read_text()
        resident = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
        self.resident = max(self.resident, int(resident.split()[1]) << 10)
        sizes = 0
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):  # it has just been closed
                if "memfd:recording" in str(entry.readlink()):
                    sizes += entry.stat().st_size
        self.recordings = max(self.recordings, sizes)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--recordings", nargs="+", choices=tuple(RECORDINGS), default=tuple(RECORDINGS))
    arguments = parser.parse_args()
    print(
        "| recording | way | pieces | words | lost | added | changed | wrong, of what was said (sentences apart) | memory |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.recordings:
        pauses_s = RECORDINGS[name]
        recording = talk(60 * arguments.minutes, pauses_s=pauses_s, seed=arguments.seed, tight=not pauses_s[0])
        if "minutes" in arguments.ways:
            report(name, "pieces of one minute", recording, *in_minutes(recording))
        if ways := [way for way in arguments.ways if way != "minutes"]:
            with contextlib.redirect_stdout(sys.stderr):  # the daemon's log
                asyncio.run(through_the_daemon(name, recording, ways))


def report(name: str, way: str, recording: Talk, count: str, text: str, *, memory: str = "") -> None:
    """Print a row."""
    found, apart, said = words_of(text), words_of(recording.heard("fp32")), words_of(recording.said)
    lost, added, changed = changes(apart, found)
    wrong, wrong_apart = sum(changes(said, found)), sum(changes(said, apart))
    print(
        f"| {name} | {way} | {count} | {len(apart)} | {lost} | {added} | {changed} | {100 * wrong / len(said):.2f} % "
        f"({100 * wrong_apart / len(said):.2f} %) | {memory} |",
        flush=True,
        file=sys.__stdout__,
    )


def in_minutes(recording: Talk) -> tuple[str, str]:
    """Return the number of pieces and the text, recognized in this process."""
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32))
    joining, count = Joining(), 0
    for piece in pieces(blocks(recording), SileroDetector, limits=MINUTE):
        joining.add(transcribe_file(piece.descriptor, recognizer, SileroDetector()), piece.start_s, piece.end_s)
        count += 1
    recognizer.close()
    return str(count), joining.result().text


def blocks(recording: Talk) -> Iterator[Samples]:
    """Yield the recording, a second at a time."""
    for begin in range(0, len(recording.wave), 16_000):
        yield np.rint(recording.wave[begin : begin + 16_000] * 32767).astype(np.int16)[:, None]


async def through_the_daemon(name: str, recording: Talk, ways: list[str]) -> None:
    """Transcribe files with the recording, and print their rows."""
    with tempfile.TemporaryDirectory() as directory, PrivateBus() as bus:
        folder = Path(directory)
        wav, m4a = folder / "talk.wav", folder / "talk.m4a"
        soundfile.write(wav, recording.wave, 16_000)
        m4a.write_bytes(encoded(KINDS["M4A"], recording.wave))
        async with daemon(bus, folder) as running:
            for way in ways:
                file = {"wav": str(wav), "m4a": str(m4a), "pipe": "-"}[way]
                text, client, server = await transcribed(running, file, wav if way == "pipe" else None)
                memory = (
                    f"coldvoxctl {client.resident >> 20} MiB + {client.recordings >> 20} MiB of audio, "
                    f"coldvoxd {server.resident >> 20} MiB"
                )
                report(
                    name,
                    {"wav": "WAV", "m4a": "M4A", "pipe": "WAV through a pipe"}[way],
                    recording,
                    "",
                    text,
                    memory=memory,
                )


async def transcribed(running: RunningDaemon, file: str, piped: Path | None) -> tuple[str, Peak, Peak]:
    """Return the text that coldvoxctl prints, and the memory of both processes."""
    source = await asyncio.create_subprocess_exec("cat", str(piped), stdout=(pipe := os.pipe())[1]) if piped else None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "coldvoxd.cli.main", "transcribe", "--json", file),
        cwd=ROOT,
        env=running.bus.environment,
        stdin=pipe[0] if source else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    for end in pipe if source else ():
        os.close(end)
    client, server = Peak(), Peak()
    output = asyncio.ensure_future(process.communicate())
    while not output.done():
        for peak, number in ((client, process.pid), (server, running.process.pid)):
            with contextlib.suppress(OSError):  # it has just ended
                peak.look(number)
        await asyncio.wait([output], timeout=LOOK_S)
    if source is not None:
        await source.wait()
    return json.loads(output.result()[0])["text"], client, server


if __name__ == "__main__":
    main()
