"""One recognizer on one call thread: opened, run with time limits, and abandoned if it hangs."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ColdvoxError, NotReady, OutputNotFinite, ProviderFault
from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.ports import BatchEncoder, Recognizer, Searcher
from coldvoxd.core.provider_errors import classify
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Utterance
from coldvoxd.native.call_thread import CallThread, abandon
from coldvoxd.native.malloc import give_back
from coldvoxd.recognition.run_times import STANDARD, RunLimits, RunTimes, watchdog_limit_s

log = logging.getLogger(__name__)

LOAD_LIMIT_S = 180.0
"""Seconds after which a load no longer feeds the watchdog; a cold 2.5 GB model from a slow disk takes less."""
IDLE_S = 5.0
"""Seconds without a run after which the memory of runs is returned to the system: hundreds of MB with a large model."""

T = TypeVar("T")

_attempts = itertools.count(1)


class LoadTooLong(ProviderFault):
    """A recognizer exceeded the time limit for opening."""


@dataclass(slots=True, eq=False)
class Run(Generic[T]):
    """One attempt at one utterance, or to encode several ahead. Identifies late results."""

    utterance: Utterance
    """The first one, if there are several."""
    attempt: int
    """Number of the attempt, counted over all workers and utterances."""
    generation: int
    """Generation of the worker's recognizer that executes the run."""
    answer: "asyncio.Future[T]"
    """Raises ProviderFault, InputFault or Stopped; cancelled if the run was abandoned."""
    stop: CancellationToken
    """Cancels the run when its answer is no longer needed: the call thread is free soon after, even if it has begun."""
    begun_s: float | None = None
    """Loop time at which the call thread started the run."""
    took_s: float | None = None
    """Seconds that a complete recognition took; None if it has not ended, or the audio was encoded ahead."""


class RecognizerWorker:
    """The recognizer of one execution provider. Event loop only; the work runs on its call thread.

    `open_recognizer` blocks on the call thread, and raises ModelMissing, ModelInvalid or ProviderUnavailable.
    """

    def __init__(
        self,
        name: str,
        open_recognizer: Callable[[], Recognizer],
        limits: RunLimits = STANDARD,
        *,
        idle_s: float = IDLE_S,
    ) -> None:
        self.name = name
        self.times = RunTimes(limits)
        """Run times of the runs whose answers were used."""
        self.provider = ""
        """First active execution provider of the session that was opened last."""
        self.precision = ""
        """Precision of the weights of the model that was opened last."""
        self.features_size = 0
        """Number of mel bins that the model takes."""
        self.languages: tuple[str, ...] = ()
        """Codes of the languages that can be selected for the model."""
        self.has_alternatives = False
        """Whether other texts can accompany a text."""
        self.generation = 0
        """Changes whenever the recognizer changes."""
        self._abandoned: list[CallThread] = []
        self._open = open_recognizer
        self._thread = CallThread(name)
        self._limit_s = LOAD_LIMIT_S
        self._recognizer: Recognizer | None = None
        self._idle_s = idle_s
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._recognizer is not None

    @property
    def has_hanging_run(self) -> bool:
        """Whether an abandoned call still runs: it holds its sessions, and perhaps locks of the provider."""
        self._abandoned = [thread for thread in self._abandoned if thread.busy_since_s is not None]
        return bool(self._abandoned)

    @property
    def limits(self) -> RunLimits:
        return self.times.limits

    async def open(self, limit_s: float | None = None) -> None:
        """Load a model and warm it up, in place of the open one.

        Raises the errors of opening, NotReady if the first run fails, and LoadTooLong after `limit_s` seconds. After
        LoadTooLong the call thread has been abandoned.
        """
        self._limit_s = LOAD_LIMIT_S
        wanted = self.generation
        opening = self._thread.submit(self._open_and_warm_up)
        if limit_s is not None:
            try:
                has_ended = bool((await asyncio.wait({opening}, timeout=limit_s))[0])
            except asyncio.CancelledError:
                opening.add_done_callback(_close_unwanted)
                raise
            if not has_ended:
                opening.add_done_callback(_close_unwanted)
                self.abandon()
                raise LoadTooLong(f"{self.name} took longer than {limit_s:g} s to load")
        recognizer = await opening
        if self.generation != wanted:
            recognizer.close()
            raise ProviderFault(f"{self.name} was abandoned while it was loading")
        self.drop()
        self._recognizer = recognizer
        self.provider, self.precision = recognizer.provider, recognizer.precision
        self.features_size, self.languages = recognizer.features_size, recognizer.languages
        self.has_alternatives = isinstance(recognizer, Searcher) and recognizer.has_alternatives

    def start(self, utterance: Utterance) -> Run[Hypothesis]:
        """Start to recognize, after everything that was started before. Raises ProviderFault if no model is open."""
        loop = asyncio.get_running_loop()

        def recognize(recognizer: Recognizer, run: Run[Hypothesis]) -> Hypothesis:
            began_s = loop.time()
            hypothesis = recognizer.recognize(utterance, run.stop)
            if utterance.encoded is None:
                # Without the seam, whose time does not depend on the length of the utterance.
                run.took_s = loop.time() - began_s - hypothesis.seam_s
            return hypothesis

        return self._start(utterance, utterance.duration_s, recognize)

    def start_ahead(self, utterances: tuple[Utterance, ...]) -> Run[tuple[Utterance, ...]]:
        """Start to encode utterances ahead, after everything that was started before; see `BatchEncoder`.

        The answer has them as they are if the recognizer cannot do that. Raises ProviderFault if no model is open.
        """

        def encode(recognizer: Recognizer, run: Run[tuple[Utterance, ...]]) -> tuple[Utterance, ...]:
            return recognizer.encode_ahead(utterances, run.stop) if isinstance(recognizer, BatchEncoder) else utterances

        return self._start(utterances[0], sum(one.duration_s for one in utterances), encode)

    def _start(self, utterance: Utterance, audio_s: float, call: Callable[[Recognizer, Run[T]], T]) -> Run[T]:
        recognizer = self._opened()
        self._limit_s = watchdog_limit_s(audio_s)
        loop = asyncio.get_running_loop()

        def work() -> T:
            run.stop.check()
            run.begun_s = loop.time()
            return call(recognizer, run)

        run = Run[T](utterance, next(_attempts), self.generation, loop.create_future(), CancellationToken())
        run.answer = self._thread.submit(work)
        run.answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._give_back_when_idle()
        return run

    async def warm(self, seconds: float) -> None:
        """Recognize `seconds` of near silence, after everything that was started before. Raises ProviderFault."""
        recognizer = self._opened()
        self._limit_s = LOAD_LIMIT_S
        await self._thread.submit(lambda: recognizer.recognize(near_silence(seconds)))

    def learn(self, run: Run[Hypothesis]) -> None:
        """Use the duration of a run whose answer was used for the limits of later runs."""
        if run.took_s is not None:
            self.times = self.times.with_run(run.took_s, run.utterance.duration_s)

    def promise_kept(self, now_s: float) -> bool:
        """Whether the call thread is within its time limit."""
        busy_since_s = self._thread.busy_since_s
        return busy_since_s is None or now_s - busy_since_s <= self._limit_s

    def drop(self, after_s: float = 0.0) -> None:
        """Stop using the model immediately. Close it after `after_s` seconds, once the call thread is free.

        ONNX Runtime holds the GIL while it frees a session, so a caller with urgent work delays that.
        """
        recognizer, self._recognizer = self._recognizer, None
        self.generation += 1
        if recognizer is None:
            return
        thread, loop = self._thread, asyncio.get_running_loop()

        def close() -> None:
            recognizer.close()
            give_back()

        def submit() -> None:
            thread.submit(close).add_done_callback(_log_failure)

        if after_s:
            loop.call_later(after_s, submit)
        else:
            submit()

    async def drained(self) -> None:
        """Return once all calls submitted so far have ended, including the closing of a dropped model."""
        await self._thread.submit(lambda: None)

    def abandon(self) -> None:
        """Leave a hanging call thread behind with its model, and start a new thread."""
        self._recognizer = None
        self.generation += 1
        self._abandoned.append(self._thread)
        self._thread.close()
        self._thread = CallThread(self.name)

    @contextlib.contextmanager
    def awaiting(
        self, run: Run[T], limit_s: float, if_hanging: Callable[[Run[T]], None] | None = None
    ) -> Iterator[None]:
        """Enclose a wait for a run's answer: stop the run if the wait is cancelled.

        A run that has not ended `limit_s` seconds after that hangs. Its call thread is abandoned, or `if_hanging` is
        called, so that nothing waits behind it.
        """
        try:
            yield
        except asyncio.CancelledError:
            if not run.answer.done():
                run.stop.ask()
                loop = asyncio.get_running_loop()
                timer = loop.call_later(limit_s, if_hanging or self._abandon_if_hanging, run)
                run.answer.add_done_callback(lambda _: timer.cancel())
            raise

    async def answer_within(self, run: Run[T], limit_s: float, if_hanging: Callable[[Run[T]], None] | None = None) -> T:
        """Wait for a run's answer within `awaiting`.

        After `limit_s` seconds the run is stopped, and TimeoutError raised. Raises ColdvoxError for any error of the run.
        """
        async with asyncio.timeout(limit_s):
            with self.awaiting(run, limit_s, if_hanging):
                await asyncio.wait({run.answer})
        if run.answer.cancelled():
            raise ProviderFault(f"{self.name} was abandoned during the run")
        error = run.answer.exception()
        if error is not None and not isinstance(error, ColdvoxError):
            raise ProviderFault(f"{self.name} failed: {type(error).__name__}") from error
        return run.answer.result()

    def close(self) -> None:
        """Close the model once the call thread is free, and end that thread. Doesn't wait."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self.drop()
        self._thread.close()

    def _opened(self) -> Recognizer:
        if self._recognizer is None:
            raise ProviderFault(f"{self.name} has no model loaded")
        return self._recognizer

    def _give_back_when_idle(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = asyncio.get_running_loop().call_later(self._idle_s, self._give_back)

    def _give_back(self) -> None:
        """Return unused memory to the system, after the runs in progress."""
        self._idle_timer = None
        self._thread.submit(give_back).add_done_callback(_log_failure)

    def _abandon_if_hanging(self, run: Run[T]) -> None:
        if run.generation == self.generation and run.begun_s is not None and not run.answer.done():
            self.abandon()

    def _open_and_warm_up(self) -> Recognizer:
        """Open, and make the first run, which allocates and optimizes, before any utterance. On the call thread."""
        recognizer = self._open()
        try:
            recognizer.recognize(near_silence())
        except ProviderFault as error:
            recognizer.close()
            raise NotReady(f"The model loads on {self.name} but its first run fails: {error}") from error
        give_back()
        return recognizer


async def first_valid(run: Run[Hypothesis], other: Awaitable[Hypothesis]) -> Hypothesis:
    """Return the answer of a late run or that of `other`, whichever comes first without an error.

    Raises the error of `other` if both fail.
    """
    hedge = asyncio.ensure_future(other)
    racing: set[asyncio.Future[Hypothesis]] = {run.answer, hedge}
    try:
        while hedge in racing:
            done, racing = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if run.answer in done and not run.answer.cancelled() and run.answer.exception() is None:
                return run.answer.result()
            if hedge in done and (hedge.exception() is None or not racing):
                return hedge.result()
            if hedge in done:
                break
        await asyncio.wait({run.answer})
        return hedge.result() if run.answer.cancelled() or run.answer.exception() else run.answer.result()
    finally:
        abandon(hedge)


def class_of(error: Exception) -> tuple[FaultClass, Reason]:
    """Return the fault class and the reason for an exception of an accelerator."""
    if isinstance(error, OutputNotFinite) or isinstance(error.__cause__, OutputNotFinite):  # in a run, or in warming up
        return FaultClass.UNHEALTHY, Reason.GPU_WRONG_OUTPUT
    if isinstance(error, ColdvoxError):
        return classify(str(error))
    log.error("an untranslated exception", exc_info=error)  # raised by a driver or a library
    return FaultClass.TRANSIENT, Reason.GPU_FAULT


def near_silence(seconds: float = 1.0) -> Utterance:
    """Return an utterance of faint noise that lasts `seconds`, for warming up a recognizer."""
    samples = np.random.default_rng(0).normal(0, 1e-3, round(seconds * SAMPLE_RATE)).astype(np.float32)
    return Utterance(0, 0, 0, samples, EndReason.STOP)


def _close_unwanted(done: "asyncio.Future[Recognizer]") -> None:
    """Close a recognizer that was opened too late, because it holds memory."""
    if not done.cancelled() and done.exception() is None:
        done.result().close()


def _log_failure(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not isinstance(error, ColdvoxError):
        log.warning("releasing a model: %s", error)
