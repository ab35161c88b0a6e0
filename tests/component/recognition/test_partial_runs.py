"""Recognition of unfinished utterances: it delays, degrades and changes nothing, with real recognizers and injected faults."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.metrics import Count
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.run_times import RunLimits
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, fact, heard, on_accelerator, stage
from tests.support.sound.speech import samples

SETTINGS = ModelSettings(name="mini", provider="cpu")
PARTIAL, FINAL = 1, 2
"""Utterance numbers."""
PATIENCE_S = 300
"""Seconds for which the gate may be closed."""


def spoken(number: int = FINAL) -> Utterance:
    wave = samples()[1].wave()
    return Utterance(number, 1, 0, wave, EndReason.ENDPOINT, speech_samples=len(wave))


async def test_a_partial_run_has_the_text_and_teaches_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        times, counts = staged.accelerator.worker.times, staged.supervisor._metrics.figures().counts
        hypothesis = await staged.supervisor.recognize_partial(spoken())
        assert hypothesis is not None
        assert (hypothesis.text, hypothesis.provider) == (heard(1), PROVIDER)
        assert staged.accelerator.worker.times is times
        assert staged.supervisor._metrics.figures().counts == counts


@pytest.mark.parametrize("kind", ["memory", "fault", "nan", "broken"])
async def test_a_fault_that_concerns_one_run_is_left_to_the_utterance_to_find(tmp_path: Path, kind: str) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell(f"FAULT {kind}")
        with pytest.raises(ProviderFault):
            await staged.supervisor.recognize_partial(spoken())
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (PROVIDER, "")
        assert (staged.count(Count.FAULTS), staged.count(Count.ATTEMPTS_AGAIN)) == (0, 0)
        await staged.tell(f"FAULT {kind}")
        assert (await staged.hear(1)).text == heard(1)
        assert staged.count(Count.FAULTS) == 1


async def test_a_broken_context_is_reported_at_once(tmp_path: Path) -> None:
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        await staged.tell("FAULT illegal")
        with pytest.raises(ProviderFault):
            await staged.supervisor.recognize_partial(spoken())
        assert (staged.supervisor.state.engine.provider, staged.degraded) == (CPU, "gpu-fault")
        hypothesis = await staged.supervisor.recognize_partial(spoken())
        assert hypothesis is not None
        assert (hypothesis.text, hypothesis.provider) == (heard(1), CPU)


async def test_a_run_that_hangs_is_left_behind_and_reported(tmp_path: Path) -> None:
    async with stage(tmp_path, limits=RunLimits(accelerator_run_s=0.5)) as staged:
        await on_accelerator(staged)
        await staged.tell("HANG 30000")
        with pytest.raises(ProviderFault, match="exceeded"):
            await staged.supervisor.recognize_partial(spoken())
        await eventually(lambda: staged.degraded == "gpu-timeout")
        assert staged.supervisor.state.engine.provider == CPU
        assert (await staged.hear(1)).text == heard(1)


async def test_an_utterance_behind_a_run_that_hangs_has_its_text(tmp_path: Path) -> None:
    async with stage(tmp_path, limits=RunLimits(accelerator_run_s=0.5)) as staged:
        await on_accelerator(staged)
        await staged.tell("HANG 30000")
        partial = asyncio.create_task(staged.supervisor.recognize_partial(spoken()))
        worker = staged.accelerator.worker
        await eventually(lambda: worker._thread.busy_since_s is not None, what="a run in progress")
        partial.cancel()
        assert (await staged.hear(1)).text == heard(1)
        await eventually(lambda: staged.degraded == "gpu-timeout")


async def test_a_slow_run_on_the_cpu_is_stopped_and_its_model_stays(tmp_path: Path) -> None:
    limits = RunLimits(cpu_run_s=0.3)
    async with stage(tmp_path, "REFUSE absent 9", limits=limits) as staged:
        await eventually(lambda: staged.degraded, what="the failed probe")
        cpu = staged.supervisor._cpu.packed
        cpu.times = replace(cpu.times, time_factors=(1e-6,))
        generation = cpu.generation
        await staged.tell("CPU HANG 400")
        with pytest.raises(ProviderFault, match="exceeded"):
            await staged.supervisor.recognize_partial(spoken())
        assert cpu.generation == generation
        cpu.times = replace(cpu.times, limits=RunLimits())
        assert (await staged.hear(1)).text == heard(1)
        assert staged.count(Count.SPLITS) == 0


class Gated:
    """A real recognizer whose partial runs wait for `gate`."""

    def __init__(self, gate: threading.Event, order: list[int]) -> None:
        self._real = ParakeetRecognizer.open(find_model("mini", Precision.FP32))
        self._gate = gate
        self._order = order
        self.provider, self.precision, self.features_size = CPU, Precision.FP32, self._real.features_size
        self.languages, self.close = self._real.languages, self._real.close

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        self._order.append(utterance.id)
        if utterance.id == PARTIAL:
            assert self._gate.wait(PATIENCE_S)
        return self._real.recognize(utterance, stop)


@asynccontextmanager
async def gated(order: list[int]) -> AsyncIterator[tuple[Dispatcher, threading.Event]]:
    gate = threading.Event()

    def make(_: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        def open_recognizer() -> Recognizer:
            return Gated(gate, order)

        limits = RunLimits(cpu_run_s=PATIENCE_S)  # however long another model takes to load
        return Supervisor(Backends(open_recognizer, limits=limits), EngineStatus(), on_change)

    dispatcher = Dispatcher(make, SETTINGS)
    await dispatcher.load()
    order.clear()
    try:
        yield dispatcher, gate
    finally:
        gate.set()
        dispatcher.close()


async def begun(dispatcher: Dispatcher, order: list[int]) -> "asyncio.Task[Hypothesis | None]":
    partial = asyncio.create_task(dispatcher.recognize_partial(spoken(PARTIAL)))
    await eventually(lambda: order == [PARTIAL], what="a partial run")
    return partial


@pytest.mark.parametrize("urgent", [True, False], ids=["dictation", "file"])
async def test_any_other_recognition_stops_a_partial_run(urgent: bool) -> None:
    order: list[int] = []
    async with gated(order) as (dispatcher, gate):
        partial = await begun(dispatcher, order)
        final = asyncio.create_task(dispatcher.recognize(spoken(FINAL), urgent=urgent))
        assert await partial is None, "it does not wait for the run, which still occupies the call thread"
        assert not final.done()
        assert await dispatcher.recognize_partial(spoken(PARTIAL)) is None, "something else is recognized"
        gate.set()
        assert (await final).text == heard(1)
        assert order == [PARTIAL, FINAL]
        assert dispatcher.idle
        again = await dispatcher.recognize_partial(spoken(PARTIAL))
        assert again is not None
        assert again.text == heard(1)


async def test_a_cancelled_partial_run_stops_and_the_next_recognition_is_as_ever() -> None:
    order: list[int] = []
    async with gated(order) as (dispatcher, gate):
        partial = await begun(dispatcher, order)
        partial.cancel()
        await asyncio.wait({partial})
        assert partial.cancelled()
        gate.set()
        assert (await dispatcher.recognize(spoken(FINAL))).text == heard(1)


async def test_another_model_stops_a_partial_run_and_the_old_one_is_closed() -> None:
    order: list[int] = []
    async with gated(order) as (dispatcher, gate):
        partial = await begun(dispatcher, order)
        old = dispatcher._place.supervisor
        changing = asyncio.create_task(dispatcher.change(SETTINGS, "reload"))
        assert await partial is None
        await changing
        gate.set()
        await eventually(lambda: not old._cpu.packed.is_open, what="the old recognizer's end")
        assert (await dispatcher.recognize(spoken(FINAL))).text == heard(1)


async def test_before_the_model_is_loaded_nothing_is_recognized() -> None:
    supervisor = Supervisor(Backends(lambda: Gated(threading.Event(), [])), EngineStatus())
    try:
        assert await supervisor.recognize_partial(spoken()) is None
    finally:
        supervisor.close()


async def test_the_counting_of_runs_is_that_of_the_stand_in(tmp_path: Path) -> None:
    """Pins that the tests above met a run: a partial run is one run of the accelerator."""
    async with stage(tmp_path) as staged:
        await on_accelerator(staged)
        before = await fact(staged, "runs")
        await staged.supervisor.recognize_partial(spoken())
        assert await fact(staged, "runs") == before + 1
