"""Files passed as descriptors are transcribed during dictation; any other descriptor is rejected without cost."""

import asyncio
import fcntl
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import (
    AlreadyActive,
    ColdvoxError,
    FileFault,
    InvalidOption,
    ModelMissing,
    NotActive,
    NotOwner,
    NotReady,
)
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import (
    EndReason,
    EngineStatus,
    FileOptions,
    FileTranscript,
    Hypothesis,
    Precision,
    Utterance,
)
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files import jobs as files
from coldvoxd.files.jobs import FileJobs, open_audio
from coldvoxd.files.transcription import MOST_WARNINGS
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.vad.silero import SileroDetector
from tests.support.eventually import eventually
from tests.support.sound.odd_audio import encoded
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
    """A real recognizer that calls `before` with every utterance."""

    def __init__(self, before: Callable[[Utterance], object]) -> None:
        self._real = ParakeetRecognizer.open(find_model("mini", Precision.FP32))
        self._before = before

    @property
    def provider(self) -> str:
        return self._real.provider

    @property
    def precision(self) -> Precision:
        return Precision.FP32

    @property
    def features_size(self) -> int:
        return self._real.features_size

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        if utterance.session_id or utterance.end_reason is EndReason.LENGTH:  # neither warm-up nor golden clip
            self._before(utterance)
        return self._real.recognize(utterance, stop)

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
) -> AsyncIterator[Desk]:
    metrics, told = Metrics(), Told()

    def make(_: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        return Supervisor(Backends(lambda: Passing(before)), EngineStatus(), on_change, metrics)

    switch = Dispatcher(make, ModelSettings())
    await switch.load()
    jobs = FileJobs(
        switch, SileroDetector, first_number=50, metrics=metrics, step_limit_s=step_limit_s, most_jobs=most_jobs
    )
    jobs.announce_to(told)
    before_all = open_descriptors()
    try:
        yield Desk(jobs, switch, told, metrics)
    finally:
        jobs.close()
        await eventually(lambda: open_descriptors() <= before_all, what="all descriptors closed")
        switch.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def long_file(directory: Path, repeats: int = 1, name: str = "long.flac") -> Path:
    """Write all samples with pauses, `repeats` times: 70 s each."""
    room = np.random.default_rng(1).normal(0, 1e-3, 12_800).astype(np.float32)
    parts = [part for sample in samples() for part in (sample.wave(), room)]
    soundfile.write(directory / name, np.concatenate(parts * repeats), 16_000)
    return directory / name


async def test_a_file_becomes_text_with_words_where_asked_for() -> None:
    async with desk() as here:
        job = await here.hand_over(samples()[0].path, words=True)
        assert job == 50
        outcome = await here.outcome(job)
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[0].heard["fp32"]
        assert " ".join(word.text for word in outcome.words) == outcome.text
        assert outcome.duration_s == pytest.approx(len(samples()[0].wave()) / 16_000)
        assert here.told.outcomes[job][1] == ME
        second = await here.outcome(await here.hand_over(samples()[1].path))
        assert isinstance(second, FileTranscript)
        assert second.words == ()
        assert list(here.told.outcomes) == [50, 51]
        counts = here.metrics.figures().counts
        assert (counts[Count.FILES], counts[Count.FILE_SEGMENTS], counts[Count.FILES_FAILED]) == (2, 2, 0)


async def test_progress_never_falls_and_ends_at_one(tmp_path: Path) -> None:
    async with desk() as here:
        await here.outcome(await here.hand_over(long_file(tmp_path)))
        shares = [share for _, share, _ in here.told.progress]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert 5 < len(shares) <= 101


async def test_a_descriptor_is_read_from_the_files_beginning_and_its_position_left_alone(tmp_path: Path) -> None:
    async with desk() as here:
        memory = os.memfd_create("speech", os.MFD_ALLOW_SEALING)
        os.write(memory, samples()[0].path.read_bytes())
        fcntl.fcntl(
            memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        )
        position = os.lseek(memory, 0, os.SEEK_CUR)
        outcome = await here.outcome(await here.jobs.transcribe(ME, os.dup(memory), FileOptions()))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[0].heard["fp32"]
        assert os.lseek(memory, 0, os.SEEK_CUR) == position
        os.close(memory)
        gone = tmp_path / "gone.flac"
        gone.write_bytes(samples()[1].path.read_bytes())
        descriptor = os.open(gone, os.O_RDONLY)
        gone.unlink()
        outcome = await here.outcome(await here.jobs.transcribe(ME, descriptor, FileOptions()))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[1].heard["fp32"]


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


async def test_what_is_no_recording_is_refused_by_name_and_closed(tmp_path: Path) -> None:
    async with desk() as here:
        animals = zoo(tmp_path)
        for name, (descriptor, said) in animals.items():
            with pytest.raises(InvalidOption, match=said) as refused:
                await here.jobs.transcribe(ME, descriptor, FileOptions())
            assert str(refused.value).endswith("."), name
            assert str(refused.value)[0].isupper(), name
        assert here.told.outcomes == {}
        assert here.metrics.figures().counts[Count.FILES] == 0


async def test_a_channel_is_chosen_and_one_that_the_file_lacks_is_refused_at_once(tmp_path: Path) -> None:
    waves = [samples()[number].wave()[:40_000] for number in (0, 2)]
    soundfile.write(
        tmp_path / "two.wav", np.stack([np.pad(wave, (0, 40_000 - len(wave))) for wave in waves], 1), 16_000
    )
    async with desk() as here:

        async def heard(channel: str) -> FileTranscript | ColdvoxError:
            descriptor = os.open(tmp_path / "two.wav", os.O_RDONLY)
            options = FileOptions(channel=Channel(channel))
            return await here.outcome(await here.jobs.transcribe(ME, descriptor, options))

        left, right = await heard("left"), await heard("2")
        assert isinstance(left, FileTranscript)
        assert isinstance(right, FileTranscript)
        assert left.text == samples()[0].heard["fp32"]
        assert right.text.startswith("Hello Anna")
        with pytest.raises(
            InvalidOption, match=r"The file has 2 channels, and channel is 3: set it to auto, mix or a n"
        ):
            await heard("3")


async def test_opposite_phases_are_heard(tmp_path: Path) -> None:
    wave = samples()[2].wave()
    soundfile.write(tmp_path / "phases.wav", np.stack([wave, -wave], axis=1), 16_000)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "phases.wav"))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[2].heard["fp32"]


def test_refusing_holds_no_memory(tmp_path: Path) -> None:
    animals = zoo(tmp_path)
    before = resident()
    for _ in range(3):
        for descriptor, _said in animals.values():
            with pytest.raises(InvalidOption):
                open_audio(descriptor)
    assert resident() - before < 50_000_000
    for descriptor, _said in animals.values():
        os.close(descriptor)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("fault", ["not finite", "no sample"])
async def test_a_file_that_turns_out_unusable_is_reported_as_failed(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "talk.wav"
    wave = np.tile(samples()[0].wave(), 10)
    if fault == "not finite":
        wave[-1] = np.nan
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
    else:
        soundfile.write(path, wave[:0], 16_000)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(path))
        assert isinstance(outcome, FileFault)
        assert here.metrics.figures().counts[Count.FILES_FAILED] == 1


async def test_of_a_damaged_file_the_rest_becomes_text_with_a_warning(tmp_path: Path) -> None:
    sample = samples()[0].wave()
    pause = np.zeros(16_000, np.float32)
    content = bytearray(encoded(np.concatenate((sample, pause, sample, pause, sample)), "FLAC"))
    content[len(content) // 3 + 500 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3 - 500)
    (tmp_path / "talk.flac").write_bytes(content)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "talk.flac", words=True))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text.startswith(samples()[0].heard["fp32"])
        assert outcome.text.endswith(samples()[0].heard["fp32"])
        (warning,) = outcome.warnings
        assert warning.startswith("The file is damaged from 0:")
        spoken_s = len(sample) / 16_000
        last = outcome.words[-len(samples()[0].heard["fp32"].split())]
        assert 2 * spoken_s + 2 <= last.start_s <= 3 * spoken_s + 2
        assert here.metrics.figures().counts[Count.FILES_FAILED] == 0


async def test_a_file_damaged_at_very_many_places_has_few_warnings(tmp_path: Path) -> None:
    chain = b"".join(encoded(samples()[0].wave()[:16_000], "OGG")[:-40] for _ in range(30))
    (tmp_path / "talk.ogg").write_bytes(chain)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "talk.ogg"))
        assert isinstance(outcome, FileTranscript)
        assert len(outcome.warnings) == MOST_WARNINGS + 1
        assert outcome.warnings[-1].endswith("more warnings are omitted.")


async def test_a_cancelled_job_says_nothing_more_and_only_its_owner_can_cancel(tmp_path: Path) -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        job = await here.hand_over(long_file(tmp_path))
        with pytest.raises(NotOwner):
            here.jobs.cancel(OTHER, job)
        with pytest.raises(NotActive):
            here.jobs.cancel(ME, job + 1)
        await eventually(lambda: here.told.progress, what="progress")
        here.jobs.cancel(ME, job)
        told = len(here.told.progress)
        with pytest.raises(NotActive):
            here.jobs.cancel(ME, job)
        gate.set()
        await eventually(lambda: job in here.told.ended)
        assert here.told.outcomes == {}
        assert len(here.told.progress) == told
        outcome = await here.outcome(await here.hand_over(samples()[0].path))
        assert isinstance(outcome, FileTranscript)


async def test_jobs_end_with_their_caller_and_others_go_on(tmp_path: Path) -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        path = long_file(tmp_path)
        mine = [await here.hand_over(path) for _ in range(2)]
        its = await here.hand_over(samples()[0].path, OTHER)
        here.jobs.caller_left(ME)
        gate.set()
        await here.outcome(its)
        assert set(here.told.outcomes) == {its}
        await eventually(lambda: set(mine) <= set(here.told.ended))


async def test_jobs_are_limited_for_each_caller_and_in_all() -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30), most_jobs=files.JOBS_AT_WORK) as here:
        for _ in range(files.JOBS_OF_ONE_CALLER):
            await here.hand_over(samples()[0].path)
        with pytest.raises(AlreadyActive, match="of your files"):
            await here.hand_over(samples()[0].path)
        for number in range(files.JOBS_AT_WORK - files.JOBS_OF_ONE_CALLER):
            await here.hand_over(samples()[0].path, f":2.{number}")
        with pytest.raises(AlreadyActive, match="several programs"):
            await here.hand_over(samples()[0].path, OTHER)
        gate.set()
        await eventually(lambda: len(here.told.outcomes) == files.JOBS_AT_WORK, what="all texts")
        await here.outcome(await here.hand_over(samples()[0].path))


async def test_jobs_beyond_those_at_work_wait_in_the_order_in_which_they_came() -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        jobs = [await here.hand_over(samples()[0].path, f":2.{number}") for number in range(2 * files.JOBS_AT_WORK)]
        here.jobs.caller_left(f":2.{files.JOBS_AT_WORK + 1}")
        del jobs[files.JOBS_AT_WORK + 1]
        gate.set()
        await eventually(lambda: len(here.told.outcomes) == len(jobs), patience_s=120, what="all texts")
        told = list(here.told.outcomes)
        for number, job in enumerate(jobs):
            assert abs(told.index(job) - number) < files.JOBS_AT_WORK
        assert all(isinstance(outcome, FileTranscript) for outcome, _ in here.told.outcomes.values())


@pytest.mark.heavy
async def test_dictation_goes_first_during_a_long_file(tmp_path: Path) -> None:
    """Pins the order of runs: while utterances wait, no further piece of the file starts."""
    order: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def note(utterance: Utterance) -> None:
        order.append("live" if utterance.session_id else "piece")
        begun.set()
        gate.wait(30)

    async with desk(note) as here:
        job = await here.hand_over(long_file(tmp_path))
        await eventually(begun.is_set, what="the first piece")
        live = [
            asyncio.create_task(
                here.switch.recognize(Utterance(number, 7, 0, samples()[number].wave(), EndReason.ENDPOINT))
            )
            for number in range(5)
        ]
        await asyncio.sleep(0)
        gate.set()
        texts = [hypothesis.text for hypothesis in await asyncio.gather(*live)]
        assert texts == [samples()[number].heard["fp32"] for number in range(5)]
        outcome = await here.outcome(job)
        assert isinstance(outcome, FileTranscript)
        assert len(outcome.text.split()) > 60
    assert order[:6] == ["piece", *["live"] * 5]
    assert order.count("piece") >= 4


async def test_without_a_model_no_job_begins(tmp_path: Path) -> None:
    def missing() -> Passing:
        raise ModelMissing("no model; type this")

    switch = Dispatcher(lambda _, told: Supervisor(Backends(missing), EngineStatus(), told), ModelSettings())
    loading = asyncio.create_task(switch.load())
    await eventually(lambda: switch.status.degraded)
    before = open_descriptors()
    with pytest.raises(NotReady, match="type this"):
        await FileJobs(switch, SileroDetector).transcribe(ME, os.open(tmp_path, os.O_RDONLY), FileOptions())
    assert open_descriptors() == before
    loading.cancel()
    switch.close()


async def test_storage_that_hangs_is_told_and_its_thread_left_behind() -> None:
    gate = threading.Event()

    class Hanging(SileroDetector):
        def score(self, samples: object) -> float:
            del samples
            gate.wait(30)
            return 0.0

    async with desk(step_limit_s=0.05) as here:
        here.jobs._open_detector = Hanging
        outcome = await here.outcome(await here.hand_over(samples()[0].path))
        assert isinstance(outcome, FileFault)
        assert "storage" in str(outcome)
        gate.set()
