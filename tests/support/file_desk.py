"""File jobs with a recognizer that answers at once, and files to give them."""

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from coldvoxd.audio.library_stderr import hushed
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import (
    ColdvoxError,
)
from coldvoxd.core.file_values import FileOptions, FileTranscript
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files import jobs as files
from coldvoxd.files.jobs import FileJobs
from coldvoxd.models import find_model
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.vad.silero import SileroDetector
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

ME, OTHER = ":1.1", ":1.2"


@dataclass
class Told:
    """A FileAnnouncer that records its calls."""

    progress: list[tuple[int, float, str]] = field(default_factory=list)
    outcomes: dict[int, tuple[FileTranscript | ColdvoxError, str]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)

    def file_progress(self, job: int, share: float, to: str) -> None:
        assert job not in self.ended
        self.progress.append((job, share, to))

    def file_transcribed(self, job: int, outcome: FileTranscript | ColdvoxError, with_words: bool, to: str) -> None:
        assert job not in self.ended
        assert with_words == bool(isinstance(outcome, FileTranscript) and outcome.words)
        self.outcomes[job] = (outcome, to)

    def file_ended(self, job: int) -> None:
        self.ended.append(job)


class Passing:
    """A real recognizer that calls `before` with every utterance, and `before_group` with those that are encoded ahead."""

    def __init__(
        self,
        before: Callable[[Utterance], object],
        before_group: Callable[[tuple[Utterance, ...]], object] = lambda _: None,
    ) -> None:
        options = decoding_options_of(ModelSettings(name="mini"))
        self._real = ParakeetRecognizer.open(find_model("mini", Precision.FP32), options=options)
        self._before = before
        self._before_group = before_group

    @property
    def provider(self) -> str:
        return self._real.provider

    @property
    def precision(self) -> Precision:
        return Precision.FP32

    @property
    def features_size(self) -> int:
        return self._real.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._real.languages

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        if utterance.session_id or utterance.end_reason is EndReason.LENGTH:  # neither warm-up nor golden clip
            self._before(utterance)
        return self._real.recognize(utterance, stop)

    def encode_ahead(
        self, utterances: tuple[Utterance, ...], stop: CancellationToken | None = None
    ) -> tuple[Utterance, ...]:
        self._before_group(utterances)
        return self._real.encode_ahead(utterances, stop)

    def close(self) -> None:
        self._real.close()


@dataclass
class Desk:
    """File jobs on a real model."""

    jobs: FileJobs
    switch: Dispatcher
    told: Told
    metrics: Metrics

    async def hand_over(self, path: Path, caller: str = ME, *, words: bool = False) -> int:
        return await self.jobs.transcribe(caller, os.open(path, os.O_RDONLY), FileOptions(words=words))

    async def outcome(self, job: int) -> FileTranscript | ColdvoxError:
        await eventually(lambda: job in self.told.ended, what="the job's end")
        return self.told.outcomes[job][0]


@asynccontextmanager
async def desk(
    before: Callable[[Utterance], object] = lambda _: None,
    step_limit_s: float = 30.0,
    most_jobs: int = files.JOBS_IN_ALL,
    batch_size: int = 1,
    before_group: Callable[[tuple[Utterance, ...]], object] = lambda _: None,
) -> AsyncIterator[Desk]:
    metrics, told = Metrics(), Told()

    def make(_: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        return Supervisor(Backends(lambda: Passing(before, before_group)), EngineStatus(), on_change, metrics)

    switch = Dispatcher(make, ModelSettings())
    await switch.load()
    jobs = FileJobs(
        switch,
        SileroDetector,
        first_number=50,
        metrics=metrics,
        batch_size=batch_size,
        step_limit_s=step_limit_s,
        most_jobs=most_jobs,
    )
    jobs.announce_to(told)
    with hushed():  # keeps /dev/null open for the life of the process
        before_all = open_files()
    try:
        yield Desk(jobs, switch, told, metrics)
    finally:
        jobs.close()
        try:
            await eventually(lambda: len(open_files()) <= len(before_all), what="all descriptors closed")
        except AssertionError as error:
            error.add_note(f"opened meanwhile: {sorted(open_files().items() - before_all.items())}")
            raise
        switch.close()


def open_descriptors() -> int:
    return len(open_files())


def open_files() -> dict[str, str]:
    """Return what each open descriptor of this process is."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found[entry.name] = str(entry.readlink())
    return found


def long_file(directory: Path, repeats: int = 1, name: str = "long.flac") -> Path:
    """Write all samples with pauses, `repeats` times: 70 s each."""
    room = np.random.default_rng(1).normal(0, 1e-3, 12_800).astype(np.float32)
    parts = [part for sample in samples() for part in (sample.wave(), room)]
    soundfile.write(directory / name, np.concatenate(parts * repeats), 16_000)
    return directory / name


def zoo(directory: Path) -> dict[str, tuple[int, str]]:
    """Return descriptors without speech, each with the expected message."""
    (directory / "empty.wav").touch()
    (directory / "garbage.wav").write_bytes(os.urandom(100_000))
    (directory / "letter.flac").write_text("Dear Sir or Madam")
    os.mkfifo(directory / "fifo")
    with (directory / "sparse.wav").open("wb") as sparse:
        sparse.truncate(4 << 30)
    hours = directory / "hours.wav"
    soundfile.write(hours, np.zeros(16, np.int16), 8_000, subtype="PCM_U8")
    head = bytearray(hours.read_bytes())
    head[4:8] = (0xFFFF_FF00).to_bytes(4, "little")
    head[40:44] = (0xFFFF_FF00).to_bytes(4, "little")
    hours.write_bytes(head)
    os.truncate(hours, 4_000_000_000)
    ours, its = socket.socketpair()
    reading, writing = os.pipe()
    os.close(writing)
    its.close()
    return {
        "a directory": (os.open(directory, os.O_RDONLY), "is a directory"),
        "a socket": (ours.detach(), "is a socket"),
        "a pipe": (reading, "is a pipe"),
        "a FIFO without a writer": (os.open(directory / "fifo", os.O_RDONLY | os.O_NONBLOCK), "is a pipe"),
        "a FIFO with a silent writer": (os.open(directory / "fifo", os.O_RDWR), "is a pipe"),
        "an endless device": (os.open("/dev/zero", os.O_RDONLY), "is a device"),
        "only for writing": (os.open(directory / "garbage.wav", os.O_WRONLY), "is not readable"),
        "only a path": (os.open(directory / "garbage.wav", os.O_PATH), "is not readable"),
        "an empty file": (os.open(directory / "empty.wav", os.O_RDONLY), "is empty"),
        "garbage": (os.open(directory / "garbage.wav", os.O_RDONLY), "not audio"),
        "text": (os.open(directory / "letter.flac", os.O_RDONLY), "not audio"),
        "4 GB of nothing": (os.open(directory / "sparse.wav", os.O_RDONLY), "not audio"),
        "six days": (os.open(hours, os.O_RDONLY), "longer than 12 hours"),
    }


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
