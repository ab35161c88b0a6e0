"""Transcribes files that bus clients pass, as jobs. Dictation takes precedence."""

import asyncio
import fcntl
import itertools
import logging
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.opening import kind_of
from coldvoxd.core.channels import AUTO, Channel
from coldvoxd.core.errors import (
    AlreadyActive,
    ColdvoxError,
    FileFault,
    InvalidOption,
    NotActive,
    NotOwner,
    RecognitionFailed,
)
from coldvoxd.core.file_values import FileOptions, FileTranscript
from coldvoxd.core.languages import in_force
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import FileAnnouncer, SpeechDetector
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.sentences import sentence
from coldvoxd.core.settings import DictationSettings
from coldvoxd.core.values import SAMPLE_RATE, EngineStatus, Hypothesis, Utterance
from coldvoxd.files.batching import Together
from coldvoxd.files.transcription import Transcription
from coldvoxd.native.call_thread import CallThread

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_HOURS = 12
JOBS_OF_ONE_CALLER = 4
JOBS_AT_WORK = 8
"""Maximum number of running jobs. A running job holds some megabytes for its speech detector and its audio."""
JOBS_IN_ALL = 64
"""Maximum number of jobs. Waiting jobs are queued in order of arrival; each holds an open file and an idle thread."""
HEAD_LIMIT_S = 10.0
STEP_LIMIT_S = 30.0
"""Storage that takes longer than these limits to deliver a few seconds of audio counts as dead."""
PROGRESS_STEP = 0.01
"""Less progress than this is not published."""


class RecognizerKeeper(Protocol):
    """Interface of recognition that file jobs require."""

    @property
    def status(self) -> EngineStatus: ...

    @property
    def model_longest_s(self) -> float: ...

    def check_ready(self) -> None: ...

    @property
    def seam_method(self) -> SeamMethod:
        """The method that suits the model, for the setting `auto`."""
        ...

    @property
    def batch_limit(self) -> int:
        """Maximum number of pieces to encode at once, whatever the settings say."""
        ...

    async def encode_ahead(self, pieces: tuple[Utterance, ...]) -> tuple[Utterance, ...]: ...

    async def recognize(self, utterance: Utterance, *, urgent: bool) -> Hypothesis: ...


@dataclass(slots=True)
class _Job:
    number: int
    caller: str
    descriptor: int
    lane: CallThread
    options: FileOptions
    task: "asyncio.Task[None] | None" = None
    """Set once the file's head has been read."""


class FileJobs:
    """Implements FileControl. Event loop only.

    Each job reads, decodes and detects speech on a call thread of its own, its lane, because storage may hang. Only one
    step of one job runs at a time, and pieces are recognized only while no dictation utterance is pending.

    `open_detector` is called on a lane. `first_number` must be greater than all numbers of earlier processes of this
    login.
    """

    def __init__(
        self,
        keeper: RecognizerKeeper,
        open_detector: Callable[[], SpeechDetector],
        *,
        first_number: int = 1,
        metrics: Metrics | None = None,
        settings: DictationSettings | None = None,
        batch_size: int = 1,
        step_limit_s: float = STEP_LIMIT_S,
        most_jobs: int = JOBS_IN_ALL,
    ) -> None:
        self._keeper = keeper
        self._settings = settings or DictationSettings()
        self._batch_size = batch_size
        self._step_limit_s = step_limit_s
        self._most_jobs = most_jobs
        self._open_detector = open_detector
        self._metrics = metrics or Metrics()
        self._numbers = itertools.count(first_number)
        self._jobs: dict[int, _Job] = {}
        self._one_step = asyncio.Lock()
        self._places = asyncio.Semaphore(JOBS_AT_WORK)
        self._announcer: FileAnnouncer | None = None

    def use_settings(self, settings: DictationSettings) -> None:
        """Use settings from the next file on."""
        self._settings = settings

    def use_batch_size(self, batch_size: int) -> None:
        """Encode at most this number of pieces at once from now on."""
        self._batch_size = batch_size

    def announce_to(self, announcer: FileAnnouncer) -> None:
        """Publish events to this announcer from now on."""
        self._announcer = announcer

    @property
    def idle(self) -> bool:
        """Whether there is no job."""
        return not self._jobs

    async def transcribe(self, caller: str, descriptor: int, options: FileOptions) -> int:
        try:
            self._keeper.check_ready()
            self._check_room(caller)
        except ColdvoxError:
            os.close(descriptor)
            raise
        job = _Job(next(self._numbers), caller, descriptor, CallThread("file"), options)
        self._jobs[job.number] = job
        try:
            file = await _in_time(job.lane.submit(lambda: open_audio(descriptor, options.channel)), HEAD_LIMIT_S)
        except BaseException:
            self._end(job)
            raise
        if job.number not in self._jobs:
            self._end(job)
            raise ColdvoxError("The caller has already left the bus: no file is transcribed.")
        self._metrics.count(Count.FILES)
        log.debug("file job %d started by %s, %.0f s of audio", job.number, caller, file.samples / SAMPLE_RATE)
        job.task = asyncio.get_running_loop().create_task(self._work(job, file), name=f"file job {job.number}")
        return job.number

    def cancel(self, caller: str, job: int) -> None:
        found = self._jobs.get(job)
        if found is None or found.task is None:
            raise NotActive(f"There is no file job {job}: it has ended, or never existed.")
        if found.caller != caller:
            raise NotOwner(f"File job {job} belongs to another program; only that program can cancel it.")
        self._discard(found)

    def caller_left(self, caller: str) -> None:
        for job in [job for job in self._jobs.values() if job.caller == caller]:
            self._discard(job)

    def close(self) -> None:
        """Discard all jobs. Doesn't wait."""
        for job in list(self._jobs.values()):
            self._discard(job)

    def _check_room(self, caller: str) -> None:
        if sum(job.caller == caller for job in self._jobs.values()) >= JOBS_OF_ONE_CALLER:
            raise AlreadyActive(
                f"{JOBS_OF_ONE_CALLER} of your files are being transcribed: wait until one has ended, or cancel one."
            )
        if len(self._jobs) >= self._most_jobs:
            raise AlreadyActive(
                f"{self._most_jobs} files of several programs are being transcribed or queued: try again later."
            )

    async def _work(self, job: _Job, file: AudioFile) -> None:
        outcome: FileTranscript | ColdvoxError
        try:
            async with self._places:
                outcome = await self._transcribe(job, file)
        except FileFault as fault:
            outcome = FileFault(_sentence(fault))
        except ColdvoxError as fault:
            outcome = fault
        except Exception as bug:
            log.exception("file job %d failed", job.number)
            outcome = RecognitionFailed(
                f"Internal error in the file job ({type(bug).__name__}); please report it with "
                "`coldvoxctl doctor --report FILE`."
            )
        if isinstance(outcome, ColdvoxError):
            self._metrics.count(Count.FILES_FAILED)
            log.warning("file job %d failed: %s", job.number, outcome)
        else:
            log.info("file job %d done", job.number)
        if self._announcer is not None:
            self._announcer.file_transcribed(job.number, outcome, job.options.words, job.caller)
        self._end(job)

    async def _transcribe(self, job: _Job, file: AudioFile) -> FileTranscript:
        detector = await self._step(job, self._open_detector)
        transcription = Transcription(
            file,
            detector,
            words=job.options.words,
            max_seconds=MAX_HOURS * 3600,
            channel=job.options.channel,
            open_scout=self._open_detector,
            seam_rules=SeamRules.of(self._settings.seam, self._keeper.seam_method, self._settings.seam_s),
            longest_s=self._keeper.model_longest_s,
            language=in_force(job.options.language, self._settings.language, self._keeper.status),
            batch_size=lambda: min(self._batch_size, self._keeper.batch_limit),
        )
        steps = transcription.steps()
        published = 0.0
        try:
            while (step := await self._step(job, lambda: _next(steps))) is not None:
                for piece in step:
                    if isinstance(piece, Together):
                        piece.pieces = await self._keeper.encode_ahead(piece.pieces)
                        continue
                    hypothesis = await self._keeper.recognize(piece, urgent=False)
                    transcription.take(piece, hypothesis)
                    self._metrics.count(Count.FILE_SEGMENTS)
                    if not hypothesis.text:
                        self._metrics.count(Count.FILE_SEGMENTS_WITHOUT_WORDS)
                if transcription.progress >= min(1.0, published + PROGRESS_STEP) and self._announcer is not None:
                    published = transcription.progress
                    self._announcer.file_progress(job.number, published, job.caller)
        finally:
            job.lane.submit(steps.close).add_done_callback(_retrieve)
        return transcription.result()

    async def _step(self, job: _Job, call: Callable[[], T]) -> T:
        """Run a step of a job on its lane, when it is the job's turn."""
        async with self._one_step:
            return await _in_time(job.lane.submit(call), self._step_limit_s)

    def _discard(self, job: _Job) -> None:
        log.info("file job %d discarded", job.number)
        if job.task is not None:
            job.task.cancel()
            job.task.add_done_callback(lambda _: self._end(job))
        self._jobs.pop(job.number, None)

    def _end(self, job: _Job) -> None:
        """End a job. Its thread closes the file after the last call, and ends."""
        self._jobs.pop(job.number, None)
        job.lane.submit(lambda: os.close(job.descriptor)).add_done_callback(_retrieve)
        job.lane.close()
        if self._announcer is not None:
            self._announcer.file_ended(job.number)


async def _in_time(future: "asyncio.Future[T]", limit_s: float) -> T:
    """Return the result of a call on a lane. Raises FileFault if the file's storage hangs, which blocks the lane."""
    try:
        async with asyncio.timeout(limit_s):  # wait_for of Python 3.11 can lose a cancellation
            return await future
    except TimeoutError:
        raise FileFault(
            f"the file's storage delivered nothing for {limit_s:.0f} s: copy the file to this machine's disk"
        ) from None


def open_audio(descriptor: int, channel: Channel = AUTO, max_hours: float = MAX_HOURS) -> AudioFile:
    """Open a client's file, if it can be transcribed. Raises InvalidOption with the reason. May block."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if flags & os.O_PATH or flags & os.O_ACCMODE == os.O_WRONLY:
        raise InvalidOption("The file descriptor is not readable: open the file for reading.")
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        raise InvalidOption(f"The file descriptor is {kind_of(mode)}: pass one of a regular file or a memfd.")
    try:
        file = AudioFile.open(descriptor)
    except FileFault as fault:
        raise InvalidOption(_sentence(fault)) from fault
    if file.samples > max_hours * 3600 * SAMPLE_RATE:
        raise InvalidOption(f"The file is longer than {max_hours:g} hours: split it.")
    if missing := channel.missing_in(file.channels):
        raise InvalidOption(f"The file {missing}.")
    return file


def _sentence(fault: FileFault) -> str:
    """Return the message of a fault as a sentence; elsewhere it follows the file's name."""
    text = sentence(str(fault))
    return f"{text[0].upper()}{text[1:]}"


def _next(steps: Iterator[Utterance | Together | None]) -> tuple[Utterance | Together, ...] | None:
    """Return what the next step yields, none or one, and None after the last step.

    StopIteration cannot be passed to the event loop.
    """
    for piece in steps:
        return () if piece is None else (piece,)
    return None


def _retrieve(future: "asyncio.Future[None]") -> None:
    if not future.cancelled():
        future.exception()
