#!/usr/bin/env python3
"""Words lost in quiet speech, and noise taken for speech, with and without leveling.

usage: contrib/bench/quiet_speech.py DIRECTORY [--part chosen-on|held-out|all] [--digits DIR] [--peaks -20 -51 ...]
                               [--noise-minutes 75] [--noise-seed 15] [--played 0]

Takes recordings (FLAC or WAV) below the directory and scales them to these peaks in dBFS, in 16 bit. Of the recordings
in the order of their names, the constants of `coldvoxd.core.leveling` were chosen on numbers 0, 4, 8, ...; the held-out
part is numbers 2, 6, 10, ..., on which no constant was chosen. With --digits, 30 series of four digits by each speaker
are a second set: DIR has one FLAC per speaker and for each an index in TSV (digit, take, start_sample, samples). No
constant was chosen on these speakers.

Prints Markdown: word errors in percent of the recognizer alone, given the whole recording; of files; and of the
microphone's path, with the recording in the virtual microphone's quiet room. "Before" is the voice activity model
without leveling. Errors are counted against the recognizer's text of the unscaled recording. Then false alarms per hour
on noise generated from a seed (`tests/support/sound/noise.py`): utterances that dictation would have started, and
frames that would count as speech in a file. With `--played N`, N recordings at each level are also played to real
daemons in real time, one with the virtual microphone and one on a private PulseAudio. Texts are never printed.
"""

import argparse
import asyncio
import contextlib
import csv
import io
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core import endpointing  # noqa: E402
from coldvoxd.core.audio_values import Frame  # noqa: E402
from coldvoxd.core.edit_distance import edit_distance  # noqa: E402
from coldvoxd.core.endpoint_effects import Cut  # noqa: E402
from coldvoxd.core.endpointing import EndpointState, Finish, Scored  # noqa: E402
from coldvoxd.core.levels import level_db  # noqa: E402
from coldvoxd.core.settings import EndpointSettings  # noqa: E402
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EndReason, Hypothesis, Precision, Utterance  # noqa: E402
from coldvoxd.dictation.quiet_gate import QuietGate  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402 - the checkout's own
from coldvoxd.files.speech_map import SPEECH_PROBABILITY  # noqa: E402
from coldvoxd.files.transcription import transcribe_file  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.vad.silero import SileroDetector  # noqa: E402
from coldvoxd.virtual.client import command  # noqa: E402
from coldvoxd.virtual.sound import SILENCE  # noqa: E402
from tests.support.bus.private_bus import BusClient, PrivateBus  # noqa: E402
from tests.support.daemon.dictating import dictating  # noqa: E402
from tests.support.daemon.process import daemon  # noqa: E402
from tests.support.sound import servers  # noqa: E402
from tests.support.sound.noise import set_of  # noqa: E402

PEAKS_DBFS = (-20, -30, -40, -46, -51, -56)
BEFORE_S, AFTER_S = 1.5, 1.0
"""Seconds of quiet room around the recording."""
SEED = 15
"""Seed of the noise on which the constants were chosen."""
PARTS = {"chosen-on": slice(0, None, 4), "held-out": slice(2, None, 4), "all": slice(None)}
SERIES, DIGITS_IN_SERIES, PAUSE_S = 30, 4, 0.12
"""Series of digits by each speaker, digits per series, and seconds of pause between two digits."""

Frames = npt.NDArray[np.int16]


@dataclass(slots=True)
class Recognizer:
    """The bundled model with a cache of its results by samples."""

    model: ParakeetRecognizer
    known: dict[bytes, Hypothesis] = field(default_factory=dict)

    def recognize(self, utterance: Utterance, stop: object = None) -> Hypothesis:  # noqa: ARG002 - the port's signature
        key = utterance.samples.tobytes()
        if key not in self.known:
            self.known[key] = self.model.recognize(utterance)
        return self.known[key]

    def text(self, samples: npt.NDArray[np.float32]) -> str:
        return self.recognize(Utterance(0, 0, 0, samples, EndReason.LENGTH)).text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--part", choices=PARTS, default="held-out", help="of the recordings")
    parser.add_argument("--digits", type=Path, metavar="DIR", help="spoken digits, as a second set")
    parser.add_argument("--peaks", type=int, nargs="*", default=PEAKS_DBFS, metavar="DBFS")
    parser.add_argument("--noise-minutes", type=float, default=75, help="of noise in all, 0 for none")
    parser.add_argument("--noise-seed", type=int, default=SEED)
    parser.add_argument("--played", type=int, default=0, metavar="N", help="recordings that are played in real time")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.directory.rglob("*") if path.suffix in {".flac", ".wav"})
    waves = [wave_of(path) for path in paths[PARTS[arguments.part]]]
    model = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    print(f"Recordings, {arguments.part}: ", end="")
    print_errors(model, waves, arguments.peaks)
    if arguments.digits:
        print("\nDigits: ", end="")
        print_errors(model, list(series_of_digits(arguments.digits)), arguments.peaks)
    if arguments.noise_minutes:
        print_false_alarms(arguments.noise_minutes, arguments.noise_seed)
    if arguments.played:
        print_played(model, waves[:: max(1, len(waves) // arguments.played)][: arguments.played], arguments.peaks)
    return 0


def print_errors(model: ParakeetRecognizer, waves: list[npt.NDArray[np.float32]], peaks: Iterable[int]) -> None:
    said = [plain(model.recognize_samples(wave).text) for wave in waves]
    count = sum(map(len, said))
    print(f"{len(waves)} recordings, {count} words\n\n| peaks | recognizer alone | files before | files now ", end="")
    print("| microphone before | microphone now |\n|---|---|---|---|---|---|")
    for peak_dbfs in peaks:
        recognizer = Recognizer(model)
        errors = np.zeros(5, int)
        for words, wave in zip(said, waves, strict=True):
            steps = scaled(wave, peak_dbfs)
            texts = [recognizer.text(steps.astype(np.float32) / np.float32(32768))]
            texts += [file_text(recognizer, steps, leveled=leveled) for leveled in (False, True)]
            texts += [microphone_text(recognizer, steps, leveled=leveled) for leveled in (False, True)]
            errors += [edit_distance(words, plain(text)) for text in texts]
        print(f"| {peak_dbfs} dBFS | {' | '.join(f'{100 * wrong / count:.1f}' for wrong in errors)} |", flush=True)


def print_false_alarms(minutes: float, seed: int) -> None:
    hours = minutes / 60
    totals: dict[str, npt.NDArray[np.int64]] = {}
    for kind, _, noise in set_of(minutes * 60, seed):
        frames = in_frames(np.clip(np.rint(noise * 32767), -32768, 32767).astype(np.int16))
        found = []
        for leveled in (False, True):
            probabilities = scores(frames, leveled=leveled)
            found += [len(cuts(frames, probabilities)), sum(p >= SPEECH_PROBABILITY for p in probabilities)]
        totals[kind] = totals.get(kind, np.zeros(4, np.int64)) + found
    print(f"\n{minutes:g} minutes of noise, seed {seed}, a fifth each; false alarms an hour\n\n| noise ", end="")
    print("| utterances before | now | frames of files before | now |\n|---|---|---|---|---|")
    share = hours / len(totals)
    for kind, (utterances, frames_before, utterances_now, frames_now) in totals.items():
        cells = (utterances, utterances_now, frames_before, frames_now)
        print(f"| {kind} | {' | '.join(f'{cell / share:g}' for cell in cells)} |", flush=True)


def file_text(recognizer: Recognizer, steps: Frames, *, leveled: bool) -> str:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        soundfile.write(file.name, steps, SAMPLE_RATE, subtype="PCM_16")
        detector = SileroDetector(leveled=leveled)
        return transcribe_file(Path(file.name), recognizer, detector).text  # type: ignore[arg-type]


def microphone_text(recognizer: Recognizer, steps: Frames, *, leveled: bool) -> str:
    """Return the text of the microphone's path: gate, endpointer, recognizer."""
    room = np.concatenate(SILENCE)
    before, after = (np.resize(room, round(seconds * SAMPLE_RATE)) for seconds in (BEFORE_S, AFTER_S))
    frames = in_frames(np.concatenate((before, steps, after)))
    heard = frames.reshape(-1).astype(np.float32) / np.float32(32768)
    found = cuts(frames, scores(frames, leveled=leveled))
    return " ".join(recognizer.text(heard[cut.start_sample : cut.end_sample]) for cut in found)


def scores(frames: Frames, *, leveled: bool) -> list[float]:
    gate = QuietGate(SileroDetector(leveled=leveled))
    return [gate.score(Frame(0, frame), at_rest=False).speech_probability for frame in frames]


def cuts(frames: Frames, probabilities: list[float]) -> list[Cut]:
    state, found = EndpointState(0), list[Cut]()
    events: Iterator[Scored | Finish] = (
        Scored(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES, probability, level_db(frame))
        for number, (frame, probability) in enumerate(zip(frames, probabilities, strict=True))
    )
    for event in (*events, Finish(frames.size)):
        state, effects = endpointing.step(state, event, EndpointSettings())
        found += [effect for effect in effects if isinstance(effect, Cut)]
    return found


def print_played(model: ParakeetRecognizer, waves: list[npt.NDArray[np.float32]], peaks: Iterable[int]) -> None:
    said = [plain(model.recognize_samples(wave).text) for wave in waves]
    count = sum(map(len, said))
    print(f"\n{len(waves)} recordings, {count} words, played in real time\n")
    print("| peaks | recognizer alone | virtual microphone | PulseAudio |\n|---|---|---|---|")
    for peak_dbfs in peaks:
        steps = [scaled(wave, peak_dbfs) for wave in waves]
        alone = [model.recognize_samples(one.astype(np.float32) / np.float32(32768)).text for one in steps]
        with contextlib.redirect_stdout(io.StringIO()):  # the daemons' logs
            virtual, pulse = asyncio.run(played(steps))
        columns = [sum(map(edit_distance, said, map(plain, texts))) for texts in (alone, virtual, pulse)]
        print(f"| {peak_dbfs} dBFS | {' | '.join(f'{100 * wrong / count:.1f}' for wrong in columns)} |", flush=True)


async def played(recordings: list[Frames]) -> tuple[list[str], list[str]]:
    """Return the text of each recording in its own session, by the virtual microphone and by PulseAudio."""
    with tempfile.TemporaryDirectory() as place:
        files = [Path(place) / f"{number}.wav" for number in range(len(recordings))]
        for file, steps in zip(files, recordings, strict=True):
            soundfile.write(file, steps, SAMPLE_RATE, subtype="PCM_16")
        return await _by_virtual_microphone(files), await _by_pulse(files)


async def _by_virtual_microphone(files: list[Path]) -> list[str]:
    texts: list[str] = []
    with PrivateBus() as bus, tempfile.TemporaryDirectory() as place:
        async with daemon(bus, Path(place)) as running, running.client() as client:
            for file in files:
                async with _session(client, texts):
                    await asyncio.to_thread(command, running.microphone, f"SPEAK {file}")
                    await asyncio.to_thread(command, running.microphone, "SILENCE 800")
    return texts


async def _by_pulse(files: list[Path]) -> list[str]:
    texts: list[str] = []
    with servers.running() as server:
        async with dictating(server) as running:
            for file in files:
                async with _session(running.client, texts):
                    await running.until("Open", True)
                    await asyncio.to_thread(server.play, file)
                    await asyncio.sleep(0.8)
    return texts


@contextlib.asynccontextmanager
async def _session(client: BusClient, texts: list[str]) -> AsyncIterator[None]:
    await client.call("StartDictation")
    yield
    texts.append(str(await client.call("StopDictation")))


def wave_of(path: Path) -> npt.NDArray[np.float32]:
    wave, rate = soundfile.read(path, dtype="float32")
    return np.asarray(soxr.resample(wave, rate, SAMPLE_RATE), np.float32)


def series_of_digits(directory: Path) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 (n,) at 16 kHz: the same series in each run."""
    generator = np.random.default_rng(15)
    for recording in sorted(directory.glob("*.flac")):
        wave, rate = soundfile.read(recording, dtype="float32")
        with recording.with_suffix(".tsv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        takes = [(int(row["start_sample"]), int(row["samples"])) for row in rows]
        pause = np.zeros(round(PAUSE_S * rate), np.float32)
        for _ in range(SERIES):
            chosen = [takes[index] for index in generator.integers(0, len(takes), DIGITS_IN_SERIES)]
            spoken = [part for start, count in chosen for part in (wave[start : start + count], pause)][:-1]
            yield np.asarray(soxr.resample(np.concatenate(spoken), rate, SAMPLE_RATE), np.float32)


def scaled(wave: npt.NDArray[np.float32], peak_dbfs: float) -> Frames:
    """Return int16 (n,) with this peak."""
    factor = 32767 * 10 ** (peak_dbfs / 20) / np.abs(wave).max()
    return np.asarray(np.rint(wave * factor), np.int16)


def in_frames(steps: Frames) -> Frames:
    """Return int16 (frames, 512) of int16 (n,), without the incomplete last frame."""
    return steps[: len(steps) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)


def plain(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.casefold()).split()


if __name__ == "__main__":
    sys.exit(main())
