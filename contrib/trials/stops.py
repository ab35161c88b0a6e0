#!/usr/bin/env python3
"""Prints how many words a stop in the last syllable costs, and how long a session listens after it, with the bundled model.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/stops.py [--clips FOLDER]. Each recording is
dictated to real sessions, without waiting for real time, and stopped at these moments before and after the end of its last
speech. The text is compared with that of a session that listens for the whole of `stop_tail_ms`. Without --clips, the
recordings are 216 variations of the bundled samples. Texts are never printed.

With --played N it prints instead how long a stop takes to return the text: N samples are played in real time to a real daemon
with the virtual microphone, and to one on a private PulseAudio, and stopped 0.4 to 0.5 s after their end.
"""

import argparse
import asyncio
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
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
from coldvoxd.virtual.client import command  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.dictating import dictating  # noqa: E402
from tests.support.daemon.process import daemon  # noqa: E402
from tests.support.sound import servers  # noqa: E402
from tests.support.sound.speech import Wave, samples, variations  # noqa: E402
from tests.support.stopped_speech import LAST_SYLLABLE_MS, StoppedSpeech  # noqa: E402

AFTERWARDS_MS = (60, 128, 200, 300)
"""Times of a stop, in milliseconds after the end of the last speech."""
PLAYED_S = (0.4, 0.42, 0.44, 0.46, 0.48, 0.5)
"""Seconds from the end of a recording to the stop, in turn: the stops fall at different moments of a portion of audio."""
Play = Callable[[Path], Awaitable[object]]


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


async def stop_times(client: BusClient, play: Play, count: int) -> list[float]:
    """Return the seconds from the call of StopDictation to its text for this number of samples."""
    took_s = []
    for number in range(count):
        await client.call("StartDictation")
        await play(samples()[number % len(samples())].path)
        await asyncio.sleep(PLAYED_S[number % len(PLAYED_S)])
        called_s = time.monotonic()
        await client.call("StopDictation")
        took_s.append(time.monotonic() - called_s)
    return took_s


async def by_virtual_microphone(count: int) -> list[float]:
    with PrivateBus() as bus, tempfile.TemporaryDirectory() as place:
        async with daemon(bus, Path(place)) as running, running.client() as client:

            async def play(recording: Path) -> None:
                await asyncio.to_thread(command, running.microphone, f"SPEAK {recording}")

            return await stop_times(client, play, count)


async def by_pulse(count: int) -> list[float]:
    with servers.running() as server:
        async with dictating(server) as running:
            await running.until("Open", True)

            async def play(recording: Path) -> None:
                await asyncio.to_thread(server.play, recording)

            return await stop_times(running.client, play, count)


async def print_played(count: int) -> None:
    print("| microphone | stops | stop to text, median | at most |\n|---|---|---|---|")
    for name, measured in (("virtual", by_virtual_microphone), ("PulseAudio", by_pulse)):
        with contextlib.redirect_stdout(io.StringIO()):  # the daemons' logs
            took_s = await measured(count)
        print(f"| {name} | {count} | {median(took_s):.3f} s | {max(took_s):.3f} s |", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of recordings")
    parser.add_argument("--played", type=int, default=0, metavar="N", help="number of stops in real time")
    arguments = parser.parse_args()
    if arguments.played:
        await print_played(arguments.played)
        return
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    spoken = [StoppedSpeech(wave, recognizer) for wave in recordings(arguments.clips)]
    print(f"Frames have {1000 * FRAME_SAMPLES / SAMPLE_RATE:.0f} ms; a session ends with a whole one.\n")
    print("| stop, from the end of the last speech | stops | other text | listened on, median | at most |")
    print("|---|---|---|---|---|")
    for after_ms in (*(-before_ms for before_ms in LAST_SYLLABLE_MS), *AFTERWARDS_MS):
        print(await row(spoken, after_ms), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
