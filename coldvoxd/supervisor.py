"""Owns the recognizer: loads it, hands it utterances one by one, and tells what really runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np

from coldvoxd.core.errors import ColdvoxError, ModelMissing, NotReady, ProviderFault, RecognitionFailed
from coldvoxd.core.ports import MissingModel, Recognizer
from coldvoxd.core.values import SAMPLE_RATE, EndReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.lane import Lane

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 3.0
"""How soon a missing model is looked for again: it may be placed by hand at any time, one file after the other."""
LOOK_WHILE_FETCHING_S = 1.0
LOOK_AGAIN_AT_MOST_S = 60.0
"""A model whose files are all there and wrong is tried less and less often."""
LOAD_LIMIT_S = 180.0
"""Longer than a cold 2.5 GB model takes from a slow disk; past it the watchdog may have the process."""
ATTEMPTS = 2


def recognition_limit_s(duration_s: float) -> float:
    """How long one recognition may keep its lane before it counts as hung, in seconds for seconds of audio."""
    return max(20.0, 10 * duration_s)


class Supervisor:
    """The recognizer's keeper, on the event loop; the work is done on one lane.

    `open_recognizer` blocks, raises ModelMissing, ModelInvalid or ProviderUnavailable, and is called on the lane.
    """

    def __init__(
        self,
        open_recognizer: Callable[[], Recognizer],
        status: EngineStatus,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._open = open_recognizer
        self._on_change = on_change
        self.look_for_missing: Callable[[ModelMissing], Awaitable[MissingModel]] | None = None
        """Asked each time that the model is found missing: it may be on its way."""
        self._lane = Lane("recognizer")
        self._limit_s = LOAD_LIMIT_S
        self._recognizer: Recognizer | None = None
        self._settled = asyncio.Event()
        self._refusal: NotReady | None = None
        self.status = replace(status, loading=True)

    def check_ready(self) -> None:
        """Raise NotReady where no utterance could ever be recognized as things are."""
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)

    async def load(self) -> None:
        """Load the model; where it is missing or not whole, wait until it is."""
        told = ""
        again_s = LOOK_AGAIN_S
        while True:
            try:
                self._limit_s = LOAD_LIMIT_S
                recognizer = await self._lane.submit(self._open_and_warm_up)
            except ColdvoxError as fault:
                missing = isinstance(fault, ModelMissing)
                found = await self._explained(fault)
                self._refuse(found, "model-missing" if missing else "model-invalid")
                if told != found.last_error:
                    told, again_s = found.last_error, LOOK_AGAIN_S
                    log.error("model %s can't be used: %s", self.status.model, told)  # noqa: TRY400 - it says all
                await asyncio.sleep(LOOK_WHILE_FETCHING_S if found.progress >= 0 else again_s)
                if not missing:
                    again_s = min(LOOK_AGAIN_AT_MOST_S, 2 * again_s)
            else:
                break
        self._recognizer = recognizer
        self._refusal = None
        self._publish(
            provider=recognizer.provider, loading=False, ready=True, degraded="", last_error="", progress=-1.0
        )
        log.info("model %s (%s) loaded, provider %s", self.status.model, self.status.precision, recognizer.provider)
        self._settled.set()

    async def recognize(self, utterance: Utterance) -> Hypothesis:
        """Text of an utterance, after all that were asked for before it; waits while the model loads.

        Raises RecognitionFailed once the provider failed twice on the same audio, InputFault, or NotReady.
        """
        await self._settled.wait()
        self.check_ready()
        recognizer = self._recognizer
        if recognizer is None:
            raise RecognitionFailed("The daemon is stopping.")
        self._limit_s = recognition_limit_s(utterance.duration_s)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._lane.submit(lambda: recognizer.recognize(utterance))
            except ProviderFault as fault:
                log.warning("recognition failed utterance=%d attempt=%d: %s", utterance.id, attempt, fault)
                self._publish(last_error=f"utterance {utterance.id}: {fault}")
                last = fault
            except ColdvoxError:
                raise
            except Exception as bug:
                log.exception("recognition failed utterance=%d", utterance.id)
                self._publish(last_error=f"utterance {utterance.id}: {type(bug).__name__}")
                raise RecognitionFailed(
                    f"Utterance {utterance.id} met a fault of the daemon's own ({type(bug).__name__}); "
                    "please report it with `journalctl --user -u coldvoxd`."
                ) from bug
        raise RecognitionFailed(f"Utterance {utterance.id} could not be recognized: {last}") from last

    def promise_kept(self, now_s: float) -> bool:
        """Whether the lane is within its time limit. For the watchdog."""
        busy_since_s = self._lane.busy_since_s
        return busy_since_s is None or now_s - busy_since_s <= self._limit_s

    def close(self) -> None:
        """Let go of the recognizer, as soon as its lane is free. Doesn't wait."""
        recognizer, self._recognizer = self._recognizer, None
        if recognizer is not None:
            self._lane.submit(recognizer.close).add_done_callback(lambda done: done.cancelled() or done.exception())
        self._lane.close()

    def _open_and_warm_up(self) -> Recognizer:
        """On the lane: the first run allocates and optimizes, so it isn't left to the first words."""
        recognizer = self._open()
        hush = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE).astype(np.float32)
        try:
            recognizer.recognize(Utterance(0, 0, 0, hush, EndReason.STOP))
        except ProviderFault as fault:
            recognizer.close()
            raise NotReady(f"The model loads but its first run fails: {fault}") from fault
        return recognizer

    async def _explained(self, fault: ColdvoxError) -> MissingModel:
        """What callers are told of a model that can't be loaded."""
        if isinstance(fault, ModelMissing) and self.look_for_missing is not None:
            return await self.look_for_missing(fault)
        return MissingModel(fault if isinstance(fault, NotReady) else NotReady(str(fault)), str(fault))

    def _refuse(self, found: MissingModel, code: str) -> None:
        self._refusal = found.refusal
        self._publish(loading=False, ready=False, degraded=code, last_error=found.last_error, progress=found.progress)
        self._settled.set()

    def _publish(self, **changed: object) -> None:
        status = replace(self.status, **changed)  # type: ignore[arg-type] # fields by name
        if status != self.status:
            self.status = status
            self._on_change()
