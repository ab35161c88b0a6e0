"""Owns the supervisor in use: hands it utterances, dictation's first, and puts another in its place while both work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from coldvoxd.core.errors import ModelMissing, ProviderUnavailable
from coldvoxd.core.failover_state import Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import MissingModel
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Hypothesis, Utterance
from coldvoxd.gpu.health import Effect as HealthEffect
from coldvoxd.gpu.health import Struck, Unwell, WellAgain
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.recognition.worker import LOAD_LIMIT_S

log = logging.getLogger(__name__)

LookForMissing = Callable[[ModelMissing], Awaitable[MissingModel]]
"""Asked each time that the model is found missing: it may be on its way."""
MakeSupervisor = Callable[[ModelSettings, Callable[[], None]], Supervisor]
"""From settings, and what is called on each change of status."""


@dataclass(slots=True, eq=False)
class _Place:
    settings: ModelSettings
    supervisor: Supervisor
    in_hand: int = 0
    """Utterances that it has not answered yet."""
    replaced: bool = False

    def close_when_done(self) -> None:
        if self.replaced and not self.in_hand:
            self.supervisor.close()


class Dispatcher:
    """What pipeline and files know as the recognizer's keeper. Event loop only.

    `on_provider_changed` is told from, to and reason whenever recognition goes on elsewhere: `accelerator-ready`, `idle` or a code
    of Degraded where the supervisor itself changed it, otherwise what `change` was given.
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
        self._make = make
        self._on_change = on_change
        self._on_provider_changed = on_provider_changed
        self._metrics = metrics or Metrics()
        self._changing = asyncio.Lock()
        self._attempted = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._told_provider = ""
        self._urgent = 0
        """Utterances of dictation that are being recognized or wait for it."""
        self._calm = asyncio.Event()
        self._one_piece = asyncio.Lock()
        self._asleep = False
        self._place = self._made(settings)
        self.look_for_missing: Callable[[ModelSettings], LookForMissing] | None = None
        """Makes what is asked each time that the model of these settings is found missing."""

    @property
    def status(self) -> EngineStatus:
        return self._place.supervisor.status

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return self.status.problems

    @property
    def wants_new_process(self) -> bool:
        return self._place.supervisor.wants_new_process

    @property
    def accelerator_name(self) -> str:
        """As the settings call it; empty where nothing but the CPU is wanted."""
        return self._place.supervisor.accelerator_name

    @property
    def on_accelerator(self) -> bool:
        return self._place.supervisor.on_accelerator

    @property
    def on_accelerator_since_s(self) -> float:
        """When it last came into use."""
        return self._place.supervisor.on_accelerator_since_s

    @property
    def resting(self) -> bool:
        """The accelerator was let go of because nobody dictates."""
        return self._place.supervisor.resting

    @property
    def asleep(self) -> bool:
        """The machine is about to sleep, or sleeps."""
        return self._asleep

    @property
    def slept(self) -> bool:
        """Whether a sleep of the machine is why it wants one."""
        return self.status.degraded == Reason.SLEEP

    @property
    def idle(self) -> bool:
        """Nothing is being recognized, for whomever, and no other recognizer is being put in place."""
        return not self._place.in_hand and not self._changing.locked()

    @property
    def longest_s(self) -> float:
        """The greatest length of an utterance that the CPU recognizes in good time, in seconds."""
        return self._place.supervisor.longest_s

    def check_ready(self) -> None:
        """Raise NotReady where no utterance could ever be recognized as things are."""
        self._place.supervisor.check_ready()

    async def load(self) -> None:
        """Load the model; where it is missing or not whole, wait until it is, or until `change` found another."""
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
        """Wait for the model of these settings, in place of the one that was waited for. Only while none is ready."""
        replaced, self._place = self._place, self._made(settings)
        replaced.replaced = True
        replaced.close_when_done()
        if self._loading is not None:
            self._loading.cancel()

    async def change(self, settings: ModelSettings, reason: str, *, strictly: bool = False) -> None:
        """Recognize as these settings say, from the next utterance on.

        Their recognizers are opened beside those that work, which go on meanwhile and are closed once they have
        answered what they were given: nothing waits and nothing is lost, and for a while both are in memory. Raises
        NotReady, ProviderUnavailable or what else opening raises, with `strictly` also where the CPU would have to
        stand in for the accelerator; then all stays as it was.
        """
        async with self._changing:
            await self._attempted.wait()  # else its utterances would wait for a model that nobody loads any more
            place = self._made(settings)
            place.supervisor.use_findings(self.status.usable_providers)
            place.supervisor.begins_at_rest = self.resting and not strictly
            try:
                async with asyncio.timeout(LOAD_LIMIT_S):
                    await place.supervisor.open()
                    await place.supervisor.tried()
                if strictly and place.supervisor.status.degraded:
                    raise ProviderUnavailable(place.supervisor.status.last_error)  # noqa: TRY301 - it is caught to tidy up
            except TimeoutError:
                place.supervisor.close()
                raise ProviderUnavailable(f"The model was not loaded within {LOAD_LIMIT_S:.0f} s.") from None
            except BaseException:
                place.supervisor.close()
                raise
            finally:
                self._place.supervisor.use_findings(place.supervisor.status.usable_providers)
            replaced, self._place = self._place, place
            if self._asleep:
                self._suspending = asyncio.create_task(place.supervisor.suspend(), name="sleep")
            if self._loading is not None:
                self._loading.cancel()
            replaced.replaced = True
            replaced.close_when_done()
            self._status_changed(place, reason)
            place.supervisor.heed_watch()

    async def recognize(self, utterance: Utterance, *, urgent: bool = True) -> Hypothesis:
        """Text of an utterance, as the supervisor says; the one door to recognition.

        What isn't `urgent`, a file's piece, begins only while nothing urgent waits, and one at a time: so dictation
        waits for the piece in hand at most.
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

    async def wait_loaded(self) -> None:
        """Wait while the model loads. Raises NotReady where it can't be."""
        await self._place.supervisor.wait_loaded()

    async def recognize_on_cpu(self, utterance: Utterance) -> Hypothesis:
        """As `recognize`, and never on the accelerator."""
        return await self._recognize(utterance, on_cpu=True)

    def on_health(self, effect: HealthEffect) -> None:
        """The watch tells something of the card that the accelerator is on."""
        supervisor = self._place.supervisor
        match effect:
            case Unwell(verdict):
                supervisor.unwell(verdict)
            case WellAgain():
                supervisor.well_again()
            case Struck(verdict):
                supervisor.struck(verdict)

    def use_findings(self, usable_providers: Iterable[str]) -> None:
        """Providers, by their short names, that the process before this one found usable. Before `load`."""
        self._place.supervisor.use_findings(usable_providers)

    def begin_at_rest(self) -> None:
        """Leave the accelerator alone until somebody dictates, as the process before this one did. Before `load`."""
        self._place.supervisor.begins_at_rest = True

    def rest(self) -> None:
        """Nobody has dictated for long: let go of the accelerator, if it serves."""
        self._place.supervisor.rest()

    def needed(self) -> None:
        """Somebody dictates: an accelerator that rests is loaded."""
        self._place.supervisor.needed()

    async def suspend(self) -> None:
        """The machine is about to sleep: let go of the accelerator, and return once that is done. Then `wake`."""
        self._asleep = True
        await self._place.supervisor.suspend()

    def wake(self) -> None:
        """The machine woke up."""
        self._asleep = False
        self._place.supervisor.wake()

    def tell_error(self, message: str) -> None:
        """Something else went wrong that people should know of; a sentence without spoken text."""
        self._place.supervisor.tell_error(message)

    def promise_kept(self, now_s: float) -> bool:
        """Whether every current lane is within its time limit. For the watchdog."""
        return self._place.supervisor.promise_kept(now_s)

    def close(self) -> None:
        """Let go of the recognizers, as soon as their lanes are free. Doesn't wait."""
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

    def _made(self, settings: ModelSettings) -> _Place:
        def changed() -> None:
            if place is self._place:
                self._status_changed(place, place.supervisor.reason)

        place = _Place(settings, self._make(settings, changed))
        return place

    def _status_changed(self, place: _Place, reason: str) -> None:
        status = place.supervisor.status
        if not status.loading:
            self._attempted.set()
        before, self._told_provider = self._told_provider, status.provider or self._told_provider
        if before not in {"", self._told_provider}:
            self._metrics.count(Count.PROVIDER_CHANGES)
            self._on_provider_changed(before, self._told_provider, reason)
        self._on_change()
