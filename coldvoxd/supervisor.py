"""Owns the recognizer: loads it, hands it utterances one by one, puts another in its place, and tells what really runs."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from coldvoxd.core.errors import ColdvoxError, ModelMissing, NotReady, ProviderFault, RecognitionFailed
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import SAMPLE_RATE, EndReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.lane import Lane

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 3.0
"""How soon a missing model is looked for again: it may be placed by hand at any time, one file after the other."""
LOOK_AGAIN_AT_MOST_S = 60.0
"""A model whose files are all there and wrong is tried less and less often."""
LOAD_LIMIT_S = 180.0
"""Longer than a cold 2.5 GB model takes from a slow disk; past it the watchdog may have the process."""
ATTEMPTS = 2


def recognition_limit_s(duration_s: float) -> float:
    """How long one recognition may keep its lane before it counts as hung, in seconds for seconds of audio."""
    return max(20.0, 10 * duration_s)


@dataclass(slots=True)
class _Engine:
    """An open recognizer and the lane on which it lives."""

    lane: Lane
    recognizer: Recognizer
    limit_s: float = 0.0
    """Of the call in hand."""

    def submit(self, utterance: Utterance) -> "asyncio.Future[Hypothesis]":
        limit_s = recognition_limit_s(utterance.duration_s)
        self.limit_s = max(limit_s, self.limit_s) if self.lane.pending else limit_s
        return self.lane.submit(lambda: self.recognizer.recognize(utterance))

    def close(self) -> None:
        """Let go of both, once the calls before this one have ended. Doesn't wait."""
        closing = self.lane.submit(self.recognizer.close)
        closing.add_done_callback(lambda done: done.cancelled() or done.exception())
        self.lane.close()


class Supervisor:
    """The recognizer's keeper, on the event loop; the work is done on one lane for each recognizer.

    `open_recognizer` blocks, raises ModelMissing, ModelInvalid or ProviderUnavailable, and is called on a lane.
    """

    def __init__(
        self,
        open_recognizer: Callable[[], Recognizer],
        status: EngineStatus,
        on_change: Callable[[], None] = lambda: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._open = open_recognizer
        self._on_change = on_change
        self._metrics = metrics or Metrics()
        self._loop = asyncio.get_running_loop()
        self._engine: _Engine | None = None
        self._opening: Lane | None = None
        self._settled = asyncio.Event()
        self._refusal: NotReady | None = None
        self._closed = False
        self._changing = asyncio.Lock()
        self._urgent = 0
        """Utterances of live dictation that are being recognized or wait for it."""
        self._calm = asyncio.Event()
        self._one_piece = asyncio.Lock()
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
                async with self._changing:
                    if self._engine is not None:
                        return
                    await self._put_in_place(self._open, {})
            except ColdvoxError as fault:
                refusal = fault if isinstance(fault, NotReady) else NotReady(str(fault))
                missing = isinstance(fault, ModelMissing)
                self._refuse(refusal, "model-missing" if missing else "model-invalid")
                if told != str(fault):
                    told, again_s = str(fault), LOOK_AGAIN_S
                    log.error("model %s can't be used: %s", self.status.model, fault)  # noqa: TRY400 - it says all
                await asyncio.sleep(again_s)
                if not missing:
                    again_s = min(LOOK_AGAIN_AT_MOST_S, 2 * again_s)
            else:
                break

    async def change(self, open_recognizer: Callable[[], Recognizer], **known: str) -> tuple[str, str]:
        """Put another recognizer in the place of this one; the providers before and after.

        It is opened beside the one that works, which goes on meanwhile and is closed once it has answered what it was
        given; so nothing waits and nothing is lost, and for a while both are in memory. `known` is what the status is
        to say of it from then on: `model`, `precision`. Raises what opening raises; then the old one stays, and stays
        the one that `load` looks for where there is none yet.
        """
        async with self._changing:
            before = self.status.provider
            await self._put_in_place(open_recognizer, known)
            self._open = open_recognizer
            if before and before != self.status.provider:
                self._metrics.count(Count.PROVIDER_CHANGES)
            return before, self.status.provider

    async def recognize(self, utterance: Utterance, *, urgent: bool = True) -> Hypothesis:
        """Text of an utterance, after all that were asked for before it; waits while the model loads.

        What isn't `urgent`, a file's piece, begins only while nothing urgent waits, and one at a time: so live
        dictation waits for the piece in hand at most.

        Raises RecognitionFailed once the provider failed twice on the same audio, InputFault, or NotReady.
        """
        if not urgent:
            async with self._one_piece:
                while self._urgent:
                    self._calm.clear()
                    await self._calm.wait()
                return await self._recognize(utterance)
        self._urgent += 1
        try:
            return await self._recognize(utterance)
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._calm.set()

    def promise_kept(self, now_s: float) -> bool:
        """Whether every current lane is within its time limit. For the watchdog."""
        current = [(self._opening, LOAD_LIMIT_S)]
        if self._engine is not None:
            current.append((self._engine.lane, self._engine.limit_s))
        return all(
            lane is None or lane.busy_since_s is None or now_s - lane.busy_since_s <= limit_s
            for lane, limit_s in current
        )

    def close(self) -> None:
        """Let go of the recognizer, as soon as its lane is free. Doesn't wait."""
        self._closed = True
        self._settled.set()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    async def _recognize(self, utterance: Utterance) -> Hypothesis:
        await self._settled.wait()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # Asked for anew each time, and used without a pause: a recognizer that was replaced takes no more.
                return await self._working_engine().submit(utterance)
            except ProviderFault as fault:
                log.warning("recognition failed utterance=%d attempt=%d: %s", utterance.id, attempt, fault)
                self._publish(last_error=f"utterance {utterance.id}: {fault}")
                last = fault
                if attempt < ATTEMPTS:
                    self._metrics.count(Count.ATTEMPTS_AGAIN)
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

    def _working_engine(self) -> _Engine:
        if self._engine is None:
            if not self._closed:
                self.check_ready()
            raise RecognitionFailed("The daemon is stopping.")
        return self._engine

    async def _put_in_place(self, open_recognizer: Callable[[], Recognizer], known: dict[str, str]) -> None:
        """Open a recognizer on a lane of its own and make it the one that works. Under the lock."""
        began_s = self._loop.time()
        lane = self._opening = Lane("recognizer")
        try:
            recognizer = await lane.submit(lambda: _open_and_warm_up(open_recognizer))
        except BaseException:
            lane.close()
            raise
        finally:
            self._opening = None
        opened = _Engine(lane, recognizer)
        if self._closed:
            opened.close()
            raise RecognitionFailed("The daemon is stopping.")
        replaced, self._engine = self._engine, opened
        if replaced is not None:
            replaced.close()
        self._refusal = None
        self._metrics.model_load_s = self._loop.time() - began_s
        self._metrics.count(Count.MODEL_LOADS)
        loaded = {"provider": recognizer.provider, "loading": False, "ready": True, "degraded": "", "last_error": ""}
        self._publish(**loaded, **known)
        log.info("model %s (%s) loaded, provider %s", self.status.model, self.status.precision, recognizer.provider)
        self._settled.set()

    def _refuse(self, refusal: NotReady, code: str) -> None:
        self._refusal = refusal
        self._publish(loading=False, ready=False, degraded=code, last_error=str(refusal))
        self._settled.set()

    def _publish(self, **changed: object) -> None:
        status = replace(self.status, **changed)  # type: ignore[arg-type] # fields by name
        if status != self.status:
            self.status = status
            self._on_change()


def _open_and_warm_up(open_recognizer: Callable[[], Recognizer]) -> Recognizer:
    """On a lane: the first run allocates and optimizes, so it isn't left to the first words."""
    recognizer = open_recognizer()
    hush = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE).astype(np.float32)
    try:
        recognizer.recognize(Utterance(0, 0, 0, hush, EndReason.STOP))
    except ProviderFault as fault:
        recognizer.close()
        raise NotReady(f"The model loads but its first run fails: {fault}") from fault
    return recognizer
