"""A rung of the ladder: one recognizer on one lane, opened, run with limits, and left behind when it hangs."""

import asyncio
import contextlib
import logging
import math
import statistics
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ColdvoxError, NotReady, ProviderFault
from coldvoxd.core.failover_state import FaultClass, Reason, classify
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Utterance
from coldvoxd.native.call_thread import CallThread
from coldvoxd.native.malloc import give_back

log = logging.getLogger(__name__)

LOAD_LIMIT_S = 180.0
"""Longer than a cold 2.5 GB model takes from a slow disk; past it the watchdog may have the process."""
HEDGE_FLOOR_S = 0.4
HEDGE_SHARE = 10.0
"""A run that takes ten times as long as nearly all before it is hedged."""
SPLIT_SHARE = 4.0
"""A run on the CPU that takes four times as long as predicted is tried again in two pieces."""
PREDICTED_S = 2.5
"""No utterance shall be so long that its recognition on the CPU is predicted to take longer."""
LENGTH_FLOOR_S = 8.0
"""Utterances of this length are heard whole however slow the CPU is: shorter ones are understood less well."""
HISTORY = 64
QUIET_S = 5.0
"""Once nothing was asked for so long, the memory that runs took is given back: hundreds of megabytes with a large model."""


@dataclass(frozen=True, slots=True)
class Limits:
    """For how long native code may seem to hang."""

    accelerator_load_s: float = 120.0
    """An accelerator that is not loaded by then hangs; the watchdog's patience ends later."""
    accelerator_run_s: float = 5.0
    """One run on an accelerator; past it the lane is left behind."""
    cpu_run_s: float = 5.0
    """The least that a run on the CPU gets before the utterance is tried again in two pieces."""


STANDARD = Limits()


def recognition_limit_s(duration_s: float) -> float:
    """How long one recognition may keep its lane before the watchdog is starved, for seconds of audio."""
    return max(20.0, 10 * duration_s)


class LoadTooLong(ProviderFault):
    """A recognizer that should have been open by now."""


@dataclass(slots=True, eq=False)
class Run:
    """One attempt at one utterance. What comes late is told apart by it."""

    utterance: Utterance
    attempt: int
    """Counted over all rungs and utterances."""
    generation: int
    """Which of the rung's recognizers has it."""
    answer: "asyncio.Future[Hypothesis]"
    """Raises ProviderFault, InputFault or Stopped; cancelled where it was left behind."""
    stop: CancellationToken
    """Ask it where nobody waits for the answer any more: the lane is free soon after, whether the run had begun or not."""
    begun_s: float | None = None
    """Loop time at which the lane took it up."""
    took_s: float | None = None


class RecognizerWorker:
    """One execution provider's recognizer. Event loop only; the work is done on its lane.

    `open_recognizer` blocks, is called on the lane, and raises ModelMissing, ModelInvalid or ProviderUnavailable.
    """

    _attempts = 0

    def __init__(
        self,
        name: str,
        open_recognizer: Callable[[], Recognizer],
        limits: Limits = STANDARD,
        *,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.name = name
        self.limits = limits
        self.provider = ""
        """First active execution provider of the session that is or was open last."""
        self.precision = ""
        """Of the weights in it."""
        self.features_size = 0
        """Mel bins that it takes."""
        self.generation = 0
        """Changes whenever the recognizer does."""
        self._open = open_recognizer
        self._lane = CallThread(name)
        self._limit_s = LOAD_LIMIT_S
        self._recognizer: Recognizer | None = None
        self._quiet_s = quiet_s
        self._quiet: asyncio.TimerHandle | None = None
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._speed: deque[float] = deque(maxlen=HISTORY)

    @property
    def is_open(self) -> bool:
        return self._recognizer is not None

    @property
    def hedge_s(self) -> float:
        """How long a run may take before the next rung starts on the same utterance."""
        if not self._history:
            return self.limits.accelerator_run_s / 2
        return min(self.limits.accelerator_run_s, max(HEDGE_FLOOR_S, HEDGE_SHARE * _nearly_all(self._history)))

    @property
    def longest_s(self) -> float:
        """The greatest length of an utterance, by what runs took so far; infinity where there were none."""
        if not self._speed:
            return math.inf
        return max(LENGTH_FLOOR_S, PREDICTED_S / max(statistics.median(self._speed), 1e-9))

    def split_s(self, duration_s: float) -> float:
        """How long a run on the CPU may take before the utterance is tried in pieces, for seconds of audio."""
        predicted_s = duration_s * _nearly_all(self._speed) if self._speed else 0.0
        return max(self.limits.cpu_run_s, SPLIT_SHARE * predicted_s)

    async def open(self, limit_s: float | None = None) -> None:
        """Load and warm up, in place of what is open.

        Raises what opening raises, NotReady where the first run fails, and LoadTooLong after `limit_s`; then the lane was
        left behind.
        """
        self._limit_s = LOAD_LIMIT_S
        wanted = self.generation
        opening = self._lane.submit(self._open_and_warm_up)
        if limit_s is not None and not (await asyncio.wait({opening}, timeout=limit_s))[0]:
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
        self.features_size = recognizer.features_size

    def start(self, utterance: Utterance) -> Run:
        """Begin to recognize, after all that was started before. Raises ProviderFault where nothing is open."""
        recognizer = self._recognizer
        if recognizer is None:
            raise ProviderFault(f"{self.name} has no model loaded")
        self._limit_s = recognition_limit_s(utterance.duration_s)
        RecognizerWorker._attempts += 1
        loop = asyncio.get_running_loop()

        def recognize() -> Hypothesis:
            run.stop.check()
            run.begun_s = loop.time()
            hypothesis = recognizer.recognize(utterance, run.stop)
            run.took_s = loop.time() - run.begun_s
            return hypothesis

        run = Run(utterance, RecognizerWorker._attempts, self.generation, loop.create_future(), CancellationToken())
        run.answer = self._lane.submit(recognize)
        run.answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._give_back_when_quiet()
        return run

    async def warm(self, seconds: float) -> None:
        """Recognize so much of nothing, after all that was started before. Raises ProviderFault."""
        recognizer = self._recognizer
        if recognizer is None:
            raise ProviderFault(f"{self.name} has no model loaded")
        self._limit_s = LOAD_LIMIT_S
        await self._lane.submit(lambda: recognizer.recognize(hush(seconds)))

    def learn(self, run: Run) -> None:
        """A run's answer was used: what it took is how long runs take."""
        if run.took_s is not None:
            self._history.append(run.took_s)
            if run.utterance.duration_s > 0:
                self._speed.append(run.took_s / run.utterance.duration_s)

    def promise_kept(self, now_s: float) -> bool:
        """Whether the lane is within its time limit."""
        busy_since_s = self._lane.busy_since_s
        return busy_since_s is None or now_s - busy_since_s <= self._limit_s

    def drop(self, after_s: float = 0.0) -> None:
        """Use the model no more, and let go of it after so long and once its lane is free.

        ONNX Runtime holds the interpreter's lock while it frees a session, so whoever is in a hurry lets it wait.
        """
        recognizer, self._recognizer = self._recognizer, None
        self.generation += 1
        if recognizer is None:
            return
        lane, loop = self._lane, asyncio.get_running_loop()

        def close() -> None:
            recognizer.close()
            give_back()

        def let_go() -> None:
            lane.submit(close).add_done_callback(_forget)

        if after_s:
            loop.call_later(after_s, let_go)
        else:
            let_go()

    async def let_go(self) -> None:
        """Return once all that was asked of the lane so far is done, the closing of what was dropped included."""
        await self._lane.submit(lambda: None)

    def abandon(self) -> None:
        """Leave a lane that hangs behind, with its model; a new one takes its place."""
        self._recognizer = None
        self.generation += 1
        self._lane.close()
        self._lane = CallThread(self.name)

    @contextlib.contextmanager
    def awaiting(self, run: Run, limit_s: float, if_hanging: Callable[[Run], None] | None = None) -> Iterator[None]:
        """Inside, a run is waited for; where the waiting is cancelled, the run is stopped.

        One that has not ended so long after that hangs, and nothing must wait behind it: its lane is left behind, or
        `if_hanging` called.
        """
        try:
            yield
        except asyncio.CancelledError:
            if not run.answer.done():
                run.stop.ask()
                loop = asyncio.get_running_loop()
                timer = loop.call_later(limit_s, if_hanging or self._leave_if_hanging, run)
                run.answer.add_done_callback(lambda _: timer.cancel())
            raise

    def close(self) -> None:
        """The end. Doesn't wait."""
        if self._quiet is not None:
            self._quiet.cancel()
        self.drop()
        self._lane.close()

    def _give_back_when_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(self._quiet_s, self._give_back)

    def _give_back(self) -> None:
        """After what the lane still does."""
        self._quiet = None
        self._lane.submit(give_back)

    def _leave_if_hanging(self, run: Run) -> None:
        if run.generation == self.generation and run.begun_s is not None and not run.answer.done():
            self.abandon()

    def _open_and_warm_up(self) -> Recognizer:
        """On the lane: the first run allocates and optimizes, so it isn't left to the first words."""
        recognizer = self._open()
        try:
            recognizer.recognize(hush())
        except ProviderFault as fault:
            recognizer.close()
            raise NotReady(f"The model loads on {self.name} but its first run fails: {fault}") from fault
        give_back()
        return recognizer


def class_of(fault: Exception) -> tuple[FaultClass, Reason]:
    """What kind of fault an accelerator's exception tells of."""
    if isinstance(fault, ColdvoxError):
        return classify(str(fault))
    log.error("an untranslated exception", exc_info=fault)  # a driver's or a library's own
    return FaultClass.TRANSIENT, Reason.GPU_FAULT


def hush(seconds: float = 1.0) -> Utterance:
    """So much of next to nothing, to warm a recognizer up with."""
    samples = np.random.default_rng(0).normal(0, 1e-3, round(seconds * SAMPLE_RATE)).astype(np.float32)
    return Utterance(0, 0, 0, samples, EndReason.STOP)


def _nearly_all(history: deque[float]) -> float:
    """The 99th percentile; with few values, the slowest but one."""
    return sorted(history)[int(0.99 * (len(history) - 1))]


def _close_unwanted(done: "asyncio.Future[Recognizer]") -> None:
    """What was opened too late; a recognizer that is open holds memory."""
    if not done.cancelled() and done.exception() is None:
        done.result().close()


def _forget(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and (fault := done.exception()) is not None and not isinstance(fault, ColdvoxError):
        log.warning("releasing a model: %s", fault)
