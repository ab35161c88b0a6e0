#!/usr/bin/env python3
"""Prints what `unload_after_s` saves and costs: memory, and the time until the model is back in memory, against speech.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/unloading.py --model DIRECTORY [--precision fp32 int8]
[--times N] [--sample N]. A directory with random weights of the full size will do: the words don't matter. With a prepared form in the cache (`coldvoxctl model prepare DIRECTORY`) the daemon takes that.

The real daemon runs on a private bus with the virtual microphone, which speaks a sample from the moment of StartDictation. Each
precision is measured with the model's files in the page cache, and again after they were dropped from it; what could not be dropped,
because another process maps it, is in the last column.

Columns: resident memory while the model is loaded, and after it was unloaded, of that its own (not file cache); seconds from
StartDictation until the model is back, with the daemon's processor time until then, which other programs of a busy machine do not
change; until the first word is over and until the speech is over, by the word times of `mini`; seconds from the end of the speech to the text, with the model loaded and after an unloading; seconds of the audio that was
recognized, in both cases, and whether the daemon reports any as lost; the model's files in the page cache at StartDictation.
"""

import argparse
import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import ENGINE  # noqa: E402 - the checkout's own
from coldvoxd.core.values import SAMPLE_RATE, EndReason, ModelFiles, Precision, Utterance  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.models.prepared_store import find_form, forms_directory, sources  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus, Signal  # noqa: E402
from tests.support.daemon.process import RunningDaemon, daemon  # noqa: E402
from tests.support.eventually import eventually  # noqa: E402
from tests.support.sound.speech import Sample, samples  # noqa: E402

UNLOAD_AFTER_S = 2.0
LOST = "audio lost"
UNLOADED = "the model left memory"
BACK = re.compile(r"^(\S+ \S+),(\d{3}) INFO the CPU fallback is loaded$", re.MULTILINE)
PATIENCE_S = 600.0
"""Seconds for each wait: more than in a test, because a trial may share a busy machine."""
STEADY_S = 1.0
"""Seconds for which the memory must not change before it is read."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """When a sample's words are over, in seconds from its beginning."""

    sample: Sample
    first_word_s: float
    all_s: float


@dataclass(frozen=True, slots=True)
class Dictated:
    text_s: float
    """Seconds from the end of speech to the end of the session, which has the text."""
    audio_s: float
    """Seconds of audio in the utterances that gave a text."""


def spoken(number: int) -> Spoken:
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32))
    wave = samples()[number].wave()
    words = recognizer.recognize(Utterance(1, 1, 0, wave, EndReason.STOP)).words
    recognizer.close()
    return Spoken(samples()[number], words[0].end_s, len(wave) / SAMPLE_RATE)


def memory_mib(process: int) -> dict[str, int]:
    """Return the process's resident memory in MiB: `VmRSS`, and of it `RssAnon`, its own, and `RssFile`."""
    status = Path(f"/proc/{process}/status").read_text()
    return {
        name: int(kib) // 1024
        for name, kib in re.findall(r"^(VmRSS|RssAnon|RssFile):\s+(\d+) kB$", status, re.MULTILINE)
    }


def processor_s(process: int) -> float:
    """Return the processor time that the process has used, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mapped(process: int) -> str:
    """Return the kernel's list of what the process has in its memory."""
    return Path(f"/proc/{process}/maps").read_text()


async def steady_memory(process: int) -> dict[str, int]:
    """Return the memory when it has not changed for `STEADY_S`."""
    last, since_s = memory_mib(process), time.monotonic()
    while time.monotonic() - since_s < STEADY_S:
        await asyncio.sleep(STEADY_S / 10)
        if abs((now := memory_mib(process))["VmRSS"] - last["VmRSS"]) > 1:
            last, since_s = now, time.monotonic()
    return last


def files_of(model: ModelFiles) -> list[Path]:
    """Return the files that an opening reads: those of the model, and of its prepared form."""
    form = find_form(model)
    prepared = [path for path in form.directory.iterdir() if path.is_file()] if form is not None else []
    return [*sources(model), *prepared]


def drop_from_cache(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_into_cache(paths: list[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def cached_mib(paths: list[Path]) -> int:
    """Return how much of the files the page cache has, in MiB, by util-linux's fincore."""
    real = [str(path.resolve()) for path in paths]
    told = subprocess.run(
        ["fincore", "--bytes", "--noheadings", "--output", "RES", *real], capture_output=True, text=True, check=True
    )
    return sum(int(line) for line in told.stdout.split()) // (1 << 20)


class Play:
    """One daemon with a model of one precision."""

    def __init__(self, running: RunningDaemon, client: BusClient, speech: Spoken) -> None:
        self._running = running
        self._client = client
        self._speech = speech

    async def dictate(self) -> Dictated:
        before, began_s = len(self._client.signals), time.monotonic()
        await self._client.call("StartDictation")
        await asyncio.to_thread(self._running.begin_to_speak, self._speech.sample)
        over_s = time.monotonic()
        self._client.call_and_forget("StopDictation")  # its answer has a time limit, and its signal has none
        await eventually(lambda: self._signals("DictationStopped", before), patience_s=PATIENCE_S, what="the text")
        took_s = time.monotonic() - over_s
        if over_s - began_s > self._speech.all_s + 0.5:
            print(f"the sample took {over_s - began_s:.1f} s: the machine is too busy", file=sys.stderr)
        details = [signal.body[3] for signal in self._signals("Transcribed", before)]
        return Dictated(took_s, sum(each["end"].value - each["start"].value for each in details))

    async def dictate_unloaded(self) -> tuple[Dictated, float, float]:
        """Return also the seconds from the call until the model is back, and the processor time until then."""
        process = self._running.process.pid
        count, called_s, used_s = len(self._loads()), time.time(), processor_s(process)
        dictation = asyncio.create_task(self.dictate())
        await eventually(lambda: len(self._loads()) > count, patience_s=PATIENCE_S, what="the model back in memory")
        used_s = processor_s(process) - used_s
        return await dictation, self._loads()[count] - called_s, used_s

    async def unload(self) -> None:
        count = self._running.log.count(UNLOADED)
        await eventually(lambda: self._running.log.count(UNLOADED) > count, patience_s=PATIENCE_S, what="an unloading")

    def _signals(self, member: str, first: int) -> list[Signal]:
        """Return the signals of that name from the given number of signals on."""
        return [signal for signal in self._client.signals[first:] if signal.member == member]

    def _loads(self) -> list[float]:
        """Return the times of the loadings, in seconds since 1970."""
        found = BACK.findall(self._running.log)
        return [
            datetime.strptime(day, "%Y-%m-%d %H:%M:%S").astimezone().timestamp() + int(ms) / 1000 for day, ms in found
        ]


async def measure(model: Path, precision: Precision, times: int, speech: Spoken) -> None:
    paths = files_of(find_model(str(model), precision))
    with PrivateBus() as bus, tempfile.TemporaryDirectory() as name:
        settings = (
            f'[microphone]\ndevice = "virtual:{bus.directory / "mic"}"\n[model]\nname = "{model}"\nprovider = "cpu"\n'
            f'precision = "{precision}"\nprepare = false\nunload_after_s = {UNLOAD_AFTER_S}\n'
        )
        bus.environment["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
        read_into_cache(paths)
        async with daemon(bus, Path(name), settings, patience_s=PATIENCE_S) as running, running.client() as client:
            await client.subscribe()
            play = Play(running, client, speech)
            usual = await play.dictate()
            used = await client.get(ENGINE, "Precision")  # of weights that failed the golden clip another one is used
            prepared = "prepared" if str(forms_directory()) in mapped(running.process.pid) else "as published"
            loaded = await steady_memory(running.process.pid)
            states: dict[str, Callable[[list[Path]], None]] = {"warm": read_into_cache, "cold": drop_from_cache}
            for state, change in states.items():
                for _ in range(times):
                    await play.unload()
                    unloaded = await steady_memory(running.process.pid)
                    await asyncio.to_thread(change, paths)
                    cached = cached_mib(paths)
                    dictated, back_s, used_s = await play.dictate_unloaded()
                    row = [
                        f"{used}, {prepared}",
                        state,
                        *(f"{rss['VmRSS']}, {rss['RssAnon']}" for rss in (loaded, unloaded)),
                        f"{back_s:.2f} s",
                        f"{used_s:.2f} s",
                        f"{speech.first_word_s:.2f} s",
                        f"{speech.all_s:.2f} s",
                        f"{usual.text_s:.2f} s",
                        f"{dictated.text_s:.2f} s",
                        f"{usual.audio_s:.2f}, {dictated.audio_s:.2f} s" + (", LOST" if LOST in running.log else ""),
                        f"{cached} MiB",
                    ]
                    print(f"| {' | '.join(row)} |", file=sys.__stdout__, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="DIRECTORY")
    parser.add_argument("--precision", nargs="+", type=Precision, default=[Precision.FP32, Precision.INT8])
    parser.add_argument("--times", type=int, default=3, metavar="N", help="unloadings in each state (default: 3)")
    parser.add_argument("--sample", type=int, default=2, metavar="N", help="number of the sample (default: 2)")
    arguments = parser.parse_args()
    speech = spoken(arguments.sample)
    print(
        "| model | page cache | loaded, MiB | unloaded, MiB | back | processor | first word over | speech over | text, loaded | "
        "text, unloaded | audio | files in the cache |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        sep="\n",
        flush=True,
    )
    for precision in arguments.precision:
        with contextlib.redirect_stdout(io.StringIO()):  # the log of the private bus
            asyncio.run(measure(arguments.model.resolve(), precision, arguments.times, speech))


if __name__ == "__main__":
    main()
