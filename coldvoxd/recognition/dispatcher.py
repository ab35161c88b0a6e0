"""Hands utterances to the supervisor in use, dictation's first, and replaces that supervisor while both work."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.problems import Problem
from coldvoxd.core.recognition_state import (
    ProvidersFound,
    RecognitionState,
    StartReleased,
    SystemSuspending,
)
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import ChangeReason, EngineStatus, Hypothesis, Utterance
from coldvoxd.recognition.supervisor import LookForMissing, RecognitionEvent, Supervisor
from coldvoxd.recognition.worker import LOAD_LIMIT_S

log = logging.getLogger(__name__)

MakeSupervisor = Callable[[ModelSettings, Callable[[], None]], Supervisor]
"""Takes settings, and a function that is called on each change of the supervisor's state."""


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
    """Recognition, as dictation and file jobs use it. Event loop only.

    `on_provider_changed` gets the execution provider before, the one after, and the reason of each change: a
    `ChangeReason` or a problem code where the supervisor made the change, otherwise the reason given to `change`.
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
        """Makes the function that is called each time the model of these settings is found missing."""
        self._make = make
        self._on_change = on_change
        self._on_provider_changed = on_provider_changed
        self._metrics = metrics or Metrics()
        self._changing = asyncio.Lock()
        self._load_attempted = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._reported_provider = ""
        self._urgent = 0
        """Utterances of dictation that are being recognized or wait for it."""
        self._none_urgent = asyncio.Event()
        self._one_piece = asyncio.Lock()
        self._place = self._make_place(settings)

    @property
    def state(self) -> RecognitionState:
        """Of the supervisor in use."""
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
        """Whether nothing is being recognized, and no supervisor is being replaced."""
        return not self._place.in_hand and not self._changing.locked()

    @property
    def longest_s(self) -> float:
        """Longest utterance, in seconds, that the CPU recognizes in good time; infinity until that is known."""
        return self._place.supervisor.longest_s

    def check_ready(self) -> None:
        """Raise NotReady where no utterance can be recognized as things are."""
        self._place.supervisor.check_ready()

    async def load(self) -> None:
        """Load the model; where it is missing or invalid, wait until it can be loaded or `change` found another."""
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
        """Wait for the model of these settings instead of the one waited for so far. Only while no model is ready."""
        self._put_in_use(self._make_place(settings), ChangeReason.RELOAD)

    async def change(self, settings: ModelSettings, reason: str, *, strictly: bool = False) -> None:
        """Recognize as these settings say, from the next utterance on.

        The new recognizers are opened while the old ones still work. The old ones are closed once they have answered
        the utterances they were given, so nothing waits and nothing is lost; for a while both are in memory. Raises
        NotReady, ProviderUnavailable or what else opening raises, with `strictly` also where the CPU would have to
        stand in for the accelerator; then nothing has changed.
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

        An utterance that isn't `urgent`, a piece of a file, begins only while no urgent one waits, and only one at a
        time. So dictation waits for one piece at most.
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

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady where it can't be loaded."""
        await self._place.supervisor.wait_loaded()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """As `recognize`, but never on the accelerator."""
        return await self._recognize(utterance, on_cpu=True)

    def handle(self, event: RecognitionEvent) -> None:
        """Act on an event from outside, which may change `state`."""
        self._place.supervisor.handle(event)

    async def suspend(self) -> None:
        """Handle `SystemSuspending`, and return once the accelerator's memory is freed."""
        self.handle(SystemSuspending())
        await self._place.supervisor.accelerator_freed()

    def report_error(self, message: str) -> None:
        """Log and publish another part's error; a sentence without spoken text."""
        self._place.supervisor.report_error(message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every call thread in use is within its time limit. For the watchdog."""
        return self._place.supervisor.promise_kept(now_s)

    def close(self) -> None:
        """Close the recognizers as soon as their call threads are free. Doesn't wait."""
        self._place.supervisor.close()

    async def _recognize(self, utterance: Utterance, *, on_cpu: bool = False) -> Hypothesis:
        place = self._place
        place.in_hand += 1
        try:
            if on_cpu:
                return await place.supervisor.recognize_on_cpu(utterance)
            return await place.supervisor.recognize(utterance)
        finally:
            place.in_hand -= 1
            place.close_when_done()

    async def _open(self, place: _Place, *, strictly: bool) -> None:
        """Open the recognizers of a supervisor that is to be put in use, and wait for the result of the probe."""
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
        """Replace the supervisor in use; it is closed once its utterances have results."""
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
