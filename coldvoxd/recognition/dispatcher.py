"""Passes utterances to the current supervisor, dictation first, and replaces that supervisor while both serve."""

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.problems import Problem
from coldvoxd.core.recognition_state import (
    ChangeReason,
    ProvidersFound,
    RecognitionState,
    StartReleased,
    SystemSuspending,
)
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Hypothesis, Utterance
from coldvoxd.recognition.supervisor import LookForMissing, RecognitionEvent, Supervisor
from coldvoxd.recognition.worker import LOAD_LIMIT_S

log = logging.getLogger(__name__)
T = TypeVar("T")

MakeSupervisor = Callable[[ModelSettings, Callable[[], None]], Supervisor]
"""Constructs a supervisor from settings and a function to call on each change of its state."""


@dataclass(slots=True, eq=False)
class _Place:
    settings: ModelSettings
    supervisor: Supervisor
    in_hand: int = 0
    """Utterances without a result yet."""
    replaced: bool = False

    def close_when_done(self) -> None:
        if self.replaced and not self.in_hand:
            self.supervisor.close()


class Dispatcher:
    """Recognition for dictation and file jobs. Event loop only.

    `on_provider_changed` receives the previous execution provider, the new one, and the reason of each change. The
    reason is a `ChangeReason` or a problem code if the supervisor made the change, otherwise the one passed to
    `change`.
    """

    def __init__(
        self,
        make: MakeSupervisor,
        settings: ModelSettings,
        *,
        on_change: Callable[[], None] = lambda: None,
        on_provider_changed: Callable[[str, str, str], None] = lambda _from, _to, _reason: None,
        metrics: Metrics | None = None,
    ) -> None:
        self.look_for_missing: Callable[[ModelSettings], LookForMissing] | None = None
        """Returns the function to call each time the model of these settings is found missing."""
        self._make = make
        self._on_change = on_change
        self._on_provider_changed = on_provider_changed
        self._metrics = metrics or Metrics()
        self._changing = asyncio.Lock()
        self._load_attempted = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._reported_provider = ""
        self._used_s = -math.inf
        """Loop time at which a recognition last ended."""
        self._urgent = 0
        """Number of dictation utterances that are being recognized or are queued."""
        self._none_urgent = asyncio.Event()
        self._one_piece = asyncio.Lock()
        self._minor: asyncio.Task[Any] | None = None
        """What no text depends on: a partial recognition, or pieces of a file that are encoded ahead."""
        self._place = self._make_place(settings)

    @property
    def state(self) -> RecognitionState:
        """State of the current supervisor."""
        return self._place.supervisor.state

    @property
    def status(self) -> EngineStatus:
        return self.state.engine

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return self.status.problems

    @property
    def idle(self) -> bool:
        """Whether no utterance is being recognized and no supervisor is being replaced."""
        return not self._place.in_hand and not self._changing.locked()

    @property
    def busy_until_s(self) -> float:
        """Loop time at which an utterance or a piece of a file was last recognized; infinity unless `idle`."""
        return self._used_s if self.idle else math.inf

    @property
    def longest_s(self) -> float:
        """Maximum length in seconds of an utterance that the CPU recognizes quickly enough and the model completely."""
        return self._place.supervisor.longest_s

    @property
    def seam_method(self) -> SeamMethod:
        """The method that suits the model, for the setting `auto`."""
        return self._place.supervisor.seam_method

    @property
    def model_longest_s(self) -> float:
        """Maximum length in seconds of audio that the model recognizes without losing words; infinity if unknown."""
        return self._place.supervisor.model_longest_s

    def check_ready(self) -> None:
        """Raise NotReady if no utterance can be recognized at present."""
        self._place.supervisor.check_ready()

    async def load(self) -> None:
        """Load the model. If it is missing or invalid, wait until it can be loaded or `change` has found another."""
        while True:
            place = self._place
            if self.look_for_missing is not None:
                place.supervisor.look_for_missing = self.look_for_missing(place.settings)
            self._loading = asyncio.create_task(place.supervisor.load(), name="model")
            try:
                await asyncio.wait({self._loading})
            finally:
                self._loading.cancel()
            if not self._loading.cancelled():
                self._loading.result()
                return
            if place is self._place or self.status.ready:
                return

    def look_for(self, settings: ModelSettings) -> None:
        """Wait for the model of these settings instead of the previous one. Call only while no model but a fallback is ready.

        Utterances meanwhile wait for the model or for the fallback engine of these settings.
        """
        self._put_in_use(self._make_place(settings), ChangeReason.RELOAD)

    async def change(self, settings: ModelSettings, reason: str, *, strictly: bool = False) -> None:
        """Recognize with these settings, from the next utterance on.

        The new recognizers are opened while the old ones still serve. The old ones are closed once they have answered
        all their utterances, so no utterance waits or is lost. Until then both are in memory.

        Raises NotReady, ProviderUnavailable or other errors of opening; with `strictly` also if the CPU would have to
        replace the accelerator. After an error nothing has changed.
        """
        async with self._changing:
            await self._load_attempted.wait()  # otherwise utterances would wait for a model that is no longer loaded
            place = self._make_place(settings)
            place.supervisor.handle(ProvidersFound(self.status.usable_providers))
            if self.state.accelerator_released and not strictly:
                place.supervisor.handle(StartReleased())
            try:
                await self._open(place, strictly=strictly)
            except BaseException:
                place.supervisor.close()
                raise
            finally:
                self._place.supervisor.handle(ProvidersFound(place.supervisor.state.engine.usable_providers))
            self._put_in_use(place, reason)
            place.supervisor.consult_watch()

    async def recognize(self, utterance: Utterance, *, urgent: bool = True) -> Hypothesis:
        """Recognize an utterance, as `Supervisor.recognize` does.

        An utterance that isn't `urgent` is a piece of a file. It starts only while no urgent utterance is running or
        queued, and one at a time, so that dictation waits for at most one piece.
        """
        if not urgent:
            async with self._one_piece:
                while self._urgent:
                    self._none_urgent.clear()
                    await self._none_urgent.wait()
                return await self._recognize(utterance)
        self._urgent += 1
        try:
            return await self._recognize(utterance)
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._none_urgent.set()

    async def recognize_partial(self, utterance: Utterance) -> Hypothesis | None:
        """Recognize an utterance as far as it has been spoken, if nothing else is recognized; otherwise return None.

        Any other recognition that begins meanwhile stops it, so that no text is later. Raises ColdvoxError; no other part
        treats this as a failure to recognize.
        """
        return await self._unless_disturbed(lambda supervisor: supervisor.recognize_partial(utterance))

    async def _unless_disturbed(self, begin: Callable[[Supervisor], Coroutine[Any, Any, T]]) -> T | None:
        """Do what no text depends on, until something else is recognized; None if that was or is the case."""
        place = self._place
        if not self.idle:
            return None
        place.in_hand += 1
        self._minor = minor = asyncio.create_task(begin(place.supervisor))
        try:
            await asyncio.wait({minor})
        finally:
            minor.cancel()
            minor.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieve its error
            self._minor = None
            place.in_hand -= 1
            place.close_when_done()
        return None if minor.cancelled() else minor.result()

    @property
    def batch_limit(self) -> int:
        """Maximum number of pieces of a recording to encode at once, whatever the settings say."""
        return self._place.supervisor.batch_limit

    async def encode_ahead(self, pieces: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
        """Encode pieces of a recording together, or return them as they are, also if something else is recognized.

        An urgent utterance, and any other that is recognized meanwhile, stops it. Never raises ColdvoxError.
        """
        async with self._one_piece:
            return await self._unless_disturbed(lambda supervisor: supervisor.encode_ahead(pieces)) or pieces

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady if it can't be loaded."""
        await self._place.supervisor.wait_loaded()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """Recognize an utterance like `recognize`, but never on the accelerator."""
        return await self._recognize(utterance, on_cpu=True)

    def handle(self, event: RecognitionEvent) -> None:
        """Act on an external event, which may change `state`."""
        self._place.supervisor.handle(event)

    async def suspend(self) -> None:
        """Handle `SystemSuspending`, and return once the accelerator's memory is freed."""
        self.handle(SystemSuspending())
        await self._place.supervisor.accelerator_freed()

    def report_error(self, message: str) -> None:
        """Log and publish an error of another part; `message` is a sentence without spoken text."""
        self._place.supervisor.report_error(message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every call thread in use is within its time limit. For the watchdog."""
        return self._place.supervisor.promise_kept(now_s)

    def close(self) -> None:
        """Close the recognizers as soon as their call threads are free. Doesn't wait."""
        self._place.supervisor.close()

    async def _recognize(self, utterance: Utterance, *, on_cpu: bool = False) -> Hypothesis:
        self._stop_minor()
        place = self._place
        place.in_hand += 1
        try:
            if on_cpu:
                return await place.supervisor.recognize_on_cpu(utterance)
            return await place.supervisor.recognize(utterance)
        finally:
            place.in_hand -= 1
            self._used_s = asyncio.get_running_loop().time()
            place.close_when_done()

    def _stop_minor(self) -> None:
        if self._minor is not None:
            self._minor.cancel()

    async def _open(self, place: _Place, *, strictly: bool) -> None:
        """Open the recognizers of a new supervisor, and wait for the result of the probe."""
        try:
            async with asyncio.timeout(LOAD_LIMIT_S):
                await place.supervisor.open()
                await place.supervisor.probe_ended()
        except TimeoutError:
            raise ProviderUnavailable(f"The model was not loaded within {LOAD_LIMIT_S:.0f} s.") from None
        engine = place.supervisor.state.engine
        if strictly and engine.degraded:
            raise ProviderUnavailable(engine.last_error)

    def _make_place(self, settings: ModelSettings) -> _Place:
        def changed() -> None:
            if place is self._place:
                self._state_changed(place, place.supervisor.state.change_reason)

        place = _Place(settings, self._make(settings, changed))
        return place

    def _put_in_use(self, place: _Place, reason: str) -> None:
        """Replace the current supervisor. The replaced one is closed once its utterances have results."""
        self._stop_minor()
        replaced, self._place = self._place, place
        if self._loading is not None:
            self._loading.cancel()
        replaced.replaced = True
        replaced.close_when_done()
        self._state_changed(place, reason)
        if replaced.supervisor.state.suspended:
            self.handle(SystemSuspending())

    def _state_changed(self, place: _Place, reason: str) -> None:
        engine = place.supervisor.state.engine
        if not engine.loading:
            self._load_attempted.set()
        before, self._reported_provider = self._reported_provider, engine.provider or self._reported_provider
        if before not in {"", self._reported_provider}:
            self._metrics.count(Count.PROVIDER_CHANGES)
            self._on_provider_changed(before, self._reported_provider, reason)
        self._on_change()
