"""A rung of the ladder: one recognizer on one lane, opened, run with limits, and left behind when it hangs."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import numpy as np

from coldvoxd.core.errors import ColdvoxError, NotReady, ProviderFault
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Hypothesis, Utterance
from coldvoxd.lane import Lane

log = logging.getLogger(__name__)

LOAD_LIMIT_S = 180.0
"""Longer than a cold 2.5 GB model takes from a slow disk; past it the watchdog may have the process."""
ACCELERATOR_LIMIT_S = 5.0
"""One run on an accelerator; past it the lane is left behind."""
HEDGE_FLOOR_S = 0.4
HEDGE_SHARE = 10.0
"""A run that takes ten times as long as nearly all before it is hedged."""
HISTORY = 64


def recognition_limit_s(duration_s: float) -> float:
    """How long one recognition on the CPU may keep its lane before it counts as hung, for seconds of audio."""
    return max(20.0, 10 * duration_s)


class Rung:
    """One execution provider's recognizer. Event loop only; the work is done on its lane.

    `open_recognizer` blocks, is called on the lane, and raises ModelMissing, ModelInvalid or ProviderUnavailable.
    """

    def __init__(self, name: str, open_recognizer: Callable[[], Recognizer]) -> None:
        self.name = name
        self._open = open_recognizer
        self._lane = Lane(name)
        self._limit_s = LOAD_LIMIT_S
        self._recognizer: Recognizer | None = None
        self._history: deque[float] = deque(maxlen=HISTORY)

    @property
    def provider(self) -> str:
        """First active execution provider of the open session; empty where none is open."""
        return self._recognizer.provider if self._recognizer else ""

    @property
    def is_open(self) -> bool:
        return self._recognizer is not None

    @property
    def hedge_s(self) -> float:
        """How long a run may take before the next rung starts on the same utterance."""
        if not self._history:
            return ACCELERATOR_LIMIT_S / 2
        slowest = sorted(self._history)[int(0.99 * (len(self._history) - 1))]
        return min(ACCELERATOR_LIMIT_S, max(HEDGE_FLOOR_S, HEDGE_SHARE * slowest))

    async def open(self) -> None:
        """Load and warm up. Raises what opening raises, NotReady where the first run fails."""
        self._limit_s = LOAD_LIMIT_S
        self._recognizer = await self._lane.submit(self._open_and_warm_up)

    def start(self, utterance: Utterance) -> "asyncio.Future[Hypothesis]":
        """Begin to recognize, after all that was started before. The future raises ProviderFault or InputFault."""
        recognizer = self._recognizer
        if recognizer is None:
            raise ProviderFault(f"{self.name} has no model loaded")
        self._limit_s = recognition_limit_s(utterance.duration_s)
        running = self._lane.submit(lambda: recognizer.recognize(utterance))
        running.add_done_callback(self._note)
        return running

    def promise_kept(self, now_s: float) -> bool:
        """Whether the lane is within its time limit."""
        busy_since_s = self._lane.busy_since_s
        return busy_since_s is None or now_s - busy_since_s <= self._limit_s

    def drop(self) -> None:
        """Let go of the model, once its lane is free."""
        recognizer, self._recognizer = self._recognizer, None
        if recognizer is not None:
            self._lane.submit(recognizer.close).add_done_callback(_forget)

    def abandon(self) -> None:
        """Leave a lane that hangs behind, with its model; a new one takes its place."""
        self._recognizer = None
        self._lane.close()
        self._lane = Lane(self.name)

    def close(self) -> None:
        """The end. Doesn't wait."""
        self.drop()
        self._lane.close()

    def _open_and_warm_up(self) -> Recognizer:
        """On the lane: the first run allocates and optimizes, so it isn't left to the first words."""
        recognizer = self._open()
        hush = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE).astype(np.float32)
        try:
            recognizer.recognize(Utterance(0, 0, 0, hush, EndReason.STOP))
        except ProviderFault as fault:
            recognizer.close()
            raise NotReady(f"The model loads on {self.name} but its first run fails: {fault}") from fault
        return recognizer

    def _note(self, done: "asyncio.Future[Hypothesis]") -> None:
        if not done.cancelled() and done.exception() is None:
            self._history.append(done.result().inference_s)


def _forget(done: "asyncio.Future[None]") -> None:
    if not done.cancelled() and (fault := done.exception()) is not None and not isinstance(fault, ColdvoxError):
        log.warning("letting go of a model: %s", fault)
