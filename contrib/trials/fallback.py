#!/usr/bin/env python3
"""Prints what a user sees while a fallback engine recognizes: engine, problems, text and times, in the real daemon.

contrib/trials/fallback.py [--whisper FILE] [--vosk DIRECTORY] [--threads N]

The daemon runs on a private bus with the virtual microphone and the model `mini` in a directory of its own, which is missing at the
start, is then put there, removed while it is loaded, and missing at the next start. By default the engines have the models of the tests:
OpenAI's tiny.en, and a Korean model of Vosk, whose text does not matter. Times are those of this machine.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import DICTATION, ENGINE  # noqa: E402 - the checkout's own
from coldvoxd.core.values import EndReason, Utterance  # noqa: E402
from coldvoxd.engines.fallback_engines import find_engine  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.process import RunningDaemon, daemon  # noqa: E402
from tests.support.eventually import eventually_answered  # noqa: E402
from tests.support.models.fallback import korean, tiny_en  # noqa: E402
from tests.support.sound.speech import mini, samples  # noqa: E402

SAMPLE = samples()[0]
TICK_S = 0.005
PATIENCE_S = 600.0
"""Seconds in which the daemon must be ready: more than in a test, because a trial may share a busy machine."""


async def put(place: Path, client: BusClient) -> float:
    """Put the model there, and return the seconds until Parakeet recognizes."""
    shutil.copytree(mini(), place.with_name("made"))
    place.with_name("made").rename(place)
    began_s = time.monotonic()

    async def is_back() -> bool:
        return bool(await client.get(ENGINE, "Engine") == "parakeet")

    await eventually_answered(is_back, patience_s=PATIENCE_S, what="the model")
    return time.monotonic() - began_s


async def row(moment: str, running: RunningDaemon, client: BusClient, extra: str = "") -> None:
    """Dictate, and print what a user sees."""
    await client.call("StartDictation")
    await running.speak(SAMPLE)
    began_s = time.monotonic()
    text = await client.call("StopDictation")
    took_s = time.monotonic() - began_s
    engine, problems = await client.get(ENGINE, "Engine"), await client.get(ENGINE, "Problems")
    state = await client.get(DICTATION, "State")
    print(
        f"| {moment} | {engine} | {', '.join(problems) or 'none'} | {state} | {text} | {took_s:.1f} s | {extra} |",
        file=sys.__stdout__,
        flush=True,
    )


async def play(engine: str, model: Path, threads: int) -> None:
    with PrivateBus() as bus, tempfile.TemporaryDirectory() as name:
        place = Path(name) / "parakeet"
        settings = (
            f'[microphone]\ndevice = "virtual:{bus.directory / "mic"}"\n'
            f'[model]\nname = "{place}"\nprovider = "cpu"\nthreads = {threads}\n'
            f'fallback = "{engine}"\nfallback_model = "{model}"\n'
        )
        began_s = time.monotonic()
        async with daemon(bus, Path(name), settings, patience_s=PATIENCE_S) as running, running.client() as client:
            await row("missing at the start", running, client, f"{time.monotonic() - began_s:.1f} s to idle")
            back_s = await put(place, client)
            await row("the model is there", running, client, f"{back_s:.1f} s to Parakeet")
            shutil.rmtree(place)
            await row("removed while loaded", running, client)
        async with daemon(bus, Path(name), settings, patience_s=PATIENCE_S) as running, running.client() as client:
            await row("after a restart", running, client)


def longest_pause(engine: str, model: Path, threads: int) -> None:
    """Print the longest pause of a thread that needs the interpreter, while the engine loads, recognizes and closes."""
    pauses: dict[str, float] = {}
    stage = "idle"
    done = threading.Event()

    def tick() -> None:
        before_s = time.monotonic()
        while not done.is_set():
            time.sleep(TICK_S)
            now_s = time.monotonic()
            pauses[stage] = max(pauses.get(stage, 0.0), now_s - before_s - TICK_S)
            before_s = now_s

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(1.0)
    stage = "import and load"
    began_s = time.process_time()
    recognizer = find_engine(engine).open(model, threads)
    loaded_s = time.process_time()
    stage = "recognize"
    recognizer.recognize(Utterance(1, 1, 0, SAMPLE.wave(), EndReason.ENDPOINT))
    recognized_s = time.process_time()
    stage = "close"
    recognizer.close()
    closed_s = time.process_time()
    done.set()
    thread.join()
    took = {
        "import and load": loaded_s - began_s,
        "recognize": recognized_s - loaded_s,
        "close": closed_s - recognized_s,
    }
    for name, pause_s in pauses.items():
        print(f"| {engine} | {name} | {took.get(name, 0.0):.2f} s | {1000 * pause_s:.0f} ms |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--whisper", type=Path, metavar="FILE")
    parser.add_argument("--vosk", type=Path, metavar="DIRECTORY")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    models = {"whisper": arguments.whisper or tiny_en(), "vosk": arguments.vosk or korean()}
    print("| moment | Engine | Problems | State | text | stop to text | |\n|---|---|---|---|---|---|---|")
    for engine, model in models.items():
        with contextlib.redirect_stdout(sys.stderr):  # the daemon's log
            asyncio.run(play(engine, model, arguments.threads))
    print("\n| engine | stage | processor time | longest pause of another thread |\n|---|---|---|---|")
    for engine, model in models.items():
        longest_pause(engine, model, arguments.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
