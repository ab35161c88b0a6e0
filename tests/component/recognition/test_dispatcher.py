"""Replacing the active recognizer by another one, with real recognizers and the virtual accelerator."""

import asyncio
import math
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import (
    InvalidOption,
    LoadTimeout,
    ModelMissing,
    NotReady,
    ProviderUnavailable,
    SettingsError,
)
from coldvoxd.core.failover_state import FaultClass, IdleTimeout, Phase, Reason
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.recognition_state import RecognitionState, SystemResumed
from coldvoxd.core.settings import ModelSettings, Settings
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.gpu.health import Unwell, Verdict
from coldvoxd.models import find_model
from coldvoxd.native.providers import available_providers
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.engine_control import Engine
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from coldvoxd.virtual.client import command
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

CPU = "CPUExecutionProvider"
SETTINGS = ModelSettings(name="mini", provider="cpu")


class Watched:
    """A real recognizer that calls `before` with every utterance, and records whether it was closed."""

    def __init__(self, real: Recognizer, house: "House") -> None:
        self._real = real
        self._house = house
        self.closed = False
        house.opened.append(self)

    @property
    def provider(self) -> str:
        return self._real.provider

    @property
    def precision(self) -> Precision:
        return self._real.precision

    @property
    def features_size(self) -> int:
        return self._real.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._real.languages

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        assert not self.closed
        if utterance.id:
            self._house.before(utterance)
        return self._real.recognize(utterance, stop)

    def close(self) -> None:
        self.closed = True
        self._real.close()


@dataclass
class ScriptedWatch:
    """A GPU monitor with a scripted condition."""

    condition: Verdict | None = None
    asked: int = 0

    async def fresh(self, limit_s: float) -> None:
        del limit_s
        self.asked += 1

    def refined(self, fault_class: FaultClass, reason: Reason) -> tuple[FaultClass, Reason]:
        return fault_class, reason


@dataclass
class House:
    """A dispatcher over the bundled model, or over the model that the settings name."""

    accelerator: VirtualAccelerator
    socket: Path
    opened: list[Watched] = field(default_factory=list)
    before: Callable[[Utterance], object] = lambda _: None
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    watch: "ScriptedWatch | None" = None

    def make(self, settings: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        def on_cpu() -> Recognizer:
            files = find_model(settings.name, Precision.on_cpu(settings.precision))
            return Watched(ParakeetRecognizer.open(files), self)

        def on_provider() -> Recognizer:
            return ParakeetRecognizer.open(find_model(settings.name, Precision.FP32), settings.provider)

        backends = Backends(on_cpu)
        if settings.provider.startswith("virtual:"):
            backends = Backends(on_cpu, self.accelerator.open, "virtual")
        elif settings.provider not in {"auto", "cpu"}:
            backends = Backends(on_cpu, on_provider, settings.provider)
        return Supervisor(backends, EngineStatus(), on_change, self.metrics, self.watch)

    def switch(self, settings: ModelSettings = SETTINGS) -> Dispatcher:
        return Dispatcher(
            self.make, settings, on_provider_changed=lambda *told: self.changes.append(told), metrics=self.metrics
        )

    def engine(
        self, switch: Dispatcher, settings: Settings, fresh: Callable[[], Settings], answer_limit_s: float = 20.0
    ) -> "tuple[Engine, list[Settings]]":
        used: list[Settings] = []

        def use(settings: Settings) -> tuple[str, ...]:
            used.append(settings)
            return ()

        async def settled() -> None: ...

        engine = Engine(
            switch,
            self.metrics,
            settings,
            load_settings=fresh,
            use_settings=use,
            settled=settled,
            answer_limit_s=answer_limit_s,
        )
        return engine, used


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    accelerator = VirtualAccelerator(
        tmp_path / "gpu", lambda wrap: ParakeetRecognizer.open(find_model("mini", Precision.FP32), wrap=wrap)
    )
    yield House(accelerator, tmp_path / "gpu")
    accelerator.close()


@asynccontextmanager
async def loaded(house: House, settings: ModelSettings = SETTINGS) -> AsyncIterator[Dispatcher]:
    switch = house.switch(settings)
    await switch.load()
    try:
        yield switch
    finally:
        switch.close()


def spoken(number: int) -> Utterance:
    return Utterance(number, 1, 0, samples()[number % len(samples())].wave(), EndReason.ENDPOINT)


def heard(number: int, precision: str = "fp32") -> str:
    return samples()[number % len(samples())].heard[precision]


async def test_a_swap_amid_utterances_loses_none_and_closes_the_old_one_after_its_last(house: House) -> None:
    gate = threading.Event()
    house.before = lambda _: gate.wait(30)
    async with loaded(house) as switch:
        asked = [asyncio.create_task(switch.recognize(spoken(number))) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        await switch.change(replace(SETTINGS, precision="int8"), "reload")
        assert switch.status.precision == "int8"
        asked.append(asyncio.create_task(switch.recognize(spoken(4))))
        await asyncio.sleep(0)
        assert not house.opened[0].closed
        gate.set()
        texts = [hypothesis.text for hypothesis in await asyncio.gather(*asked)]
        assert texts == [heard(1), heard(2), heard(3), heard(4, "int8")]
        await eventually(lambda: house.opened[0].closed, what="the old recognizer's end")
        assert not house.opened[1].closed
    assert house.changes == []


async def test_a_fault_of_the_old_one_after_the_swap_is_still_answered_by_it(house: House) -> None:
    """Its retry, or the CPU for an accelerator, must exist until all accepted utterances are answered."""
    async with loaded(house, replace(SETTINGS, provider=f"virtual:{house.socket}")) as switch:
        await eventually(lambda: switch.status.provider == PROVIDER, what="the accelerator in use")
        await asyncio.to_thread(command, house.socket, "HANG 1500")
        await asyncio.to_thread(command, house.socket, "FAULT memory")
        asked = asyncio.create_task(switch.recognize(spoken(1)))
        await asyncio.sleep(0)
        await switch.change(SETTINGS, "requested")
        assert (await asked).text == heard(1)
        assert switch.status.provider == CPU


async def test_a_model_that_is_missing_leaves_the_old_one_in_place(house: House) -> None:
    async with loaded(house) as switch:
        before = switch.status
        with pytest.raises(ModelMissing):
            await switch.change(replace(SETTINGS, name="no-such-model"), "reload")
        assert switch.status == before
        assert (await switch.recognize(spoken(1))).text == heard(1)
        assert not house.opened[0].closed


async def test_an_accelerator_that_fails_its_trial_leaves_the_old_one_in_place(house: House) -> None:
    async with loaded(house) as switch:
        await asyncio.to_thread(command, house.socket, "REFUSE absent")
        with pytest.raises(ProviderUnavailable, match="no CUDA-capable device"):
            await switch.change(replace(SETTINGS, provider=f"virtual:{house.socket}"), "requested", strictly=True)
        assert (switch.status.provider, switch.status.degraded) == (CPU, "")
        assert (await switch.recognize(spoken(1))).text == heard(1)
        assert house.changes == []


async def test_provider_changes_are_told_with_their_reason(house: House) -> None:
    virtual = replace(SETTINGS, provider=f"virtual:{house.socket}")
    async with loaded(house) as switch:
        await switch.change(virtual, "requested", strictly=True)
        assert (await switch.recognize(spoken(1))).provider == PROVIDER
        await asyncio.to_thread(command, house.socket, "FAULT memory")
        assert (await switch.recognize(spoken(2))).provider == CPU
        await switch.change(virtual, "reload")
        assert house.changes == [
            (CPU, PROVIDER, "requested"),
            (PROVIDER, CPU, "gpu-out-of-memory"),
            (CPU, PROVIDER, "reload"),
        ]
    counts = house.metrics.figures().counts
    assert counts[Count.PROVIDER_CHANGES] == 3
    assert counts[Count.ATTEMPTS_AGAIN] == 1


async def test_a_card_that_gets_unwell_during_a_change_is_not_used_after_it(house: House) -> None:
    """The monitor reports this once, to the supervisor that is active then."""
    watch = house.watch = ScriptedWatch()
    async with loaded(house) as switch:
        await asyncio.to_thread(command, house.socket, "OPENING 1000")
        change = switch.change(replace(SETTINGS, provider=f"virtual:{house.socket}"), "requested")
        changing = asyncio.create_task(change)
        await eventually(lambda: watch.asked)
        watch.condition = Verdict(FaultClass.UNHEALTHY, Reason.GPU_OVERHEATING, "It is too hot.")
        switch.handle(Unwell(watch.condition))
        await changing
        assert (switch.status.provider, switch.status.degraded) == (CPU, "gpu-overheating")
        assert (await switch.recognize(spoken(1))).text == heard(1)


async def test_an_accelerator_that_is_put_in_use_while_the_system_suspends_is_released_until_it_resumes(
    house: House,
) -> None:
    async with loaded(house) as switch:
        await asyncio.to_thread(command, house.socket, "OPENING 1000")
        change = switch.change(replace(SETTINGS, provider=f"virtual:{house.socket}"), "requested", strictly=True)
        changing = asyncio.create_task(change)
        await eventually(lambda: len(house.opened) == 2, what="the new recognizer on the CPU")
        await switch.suspend()
        await changing
        assert switch.state.suspended
        assert (switch.status.provider, switch.status.degraded) == (CPU, "sleep")
        switch.handle(SystemResumed())
        assert (switch.state.suspended, switch.state.failover.phase) == (False, Phase.CPU_ONLY)
        assert switch.state.wants_new_process, "a suspend may have broken the accelerator's context"


async def test_each_change_of_the_state_is_reported_once_and_whole(house: House) -> None:
    states: list[RecognitionState] = []
    switch = Dispatcher(
        house.make,
        replace(SETTINGS, provider=f"virtual:{house.socket}"),
        on_change=lambda: states.append(switch.state),
        metrics=house.metrics,
    )
    await switch.load()
    await eventually(lambda: switch.state.on_accelerator, what="the accelerator in use")
    switch.handle(IdleTimeout())
    assert switch.state.accelerator_released
    assert states[-1] == switch.state
    assert all(before != after for before, after in pairwise(states))
    in_use = [state for state in states if state.engine.provider == PROVIDER]
    assert in_use
    assert all(state.on_accelerator for state in in_use)
    switch.close()


async def test_what_was_found_usable_is_remembered_across_changes(house: House) -> None:
    virtual = replace(SETTINGS, provider=f"virtual:{house.socket}")
    async with loaded(house) as switch:
        assert switch.status.usable_providers == ("cpu",)
        await switch.change(virtual, "requested", strictly=True)
        assert set(switch.status.usable_providers) == {"virtual", "cpu"}
        await switch.change(SETTINGS, "requested", strictly=True)
        assert set(switch.status.usable_providers) == {"virtual", "cpu"}


async def test_an_accelerator_that_has_gone_is_no_longer_usable_after_a_change_that_failed(house: House) -> None:
    virtual = replace(SETTINGS, provider=f"virtual:{house.socket}")
    async with loaded(house) as switch:
        await switch.change(virtual, "requested", strictly=True)
        await switch.change(SETTINGS, "requested", strictly=True)
        await asyncio.to_thread(command, house.socket, "REFUSE absent")
        with pytest.raises(ProviderUnavailable):
            await switch.change(virtual, "requested", strictly=True)
        assert switch.status.usable_providers == ("cpu",)


async def test_the_accelerator_that_takes_over_at_the_start_is_told(house: House) -> None:
    async with loaded(house, replace(SETTINGS, provider=f"virtual:{house.socket}")) as switch:
        await eventually(lambda: switch.status.provider == PROVIDER, what="the accelerator in use")
        assert house.changes == [(CPU, PROVIDER, "accelerator-ready")]


async def test_a_missing_model_is_replaced_by_one_that_is_there(house: House, tmp_path: Path) -> None:
    place = tmp_path / "model"
    switch = house.switch(replace(SETTINGS, name=str(place)))
    loading = asyncio.create_task(switch.load())
    await eventually(lambda: switch.status.degraded == "model-missing")
    with pytest.raises(NotReady):
        await switch.change(replace(SETTINGS, name=str(place)), "reload")
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)
    await switch.change(replace(SETTINGS, name=str(place)), "reload")
    await asyncio.wait_for(loading, 30)
    assert (await switch.recognize(spoken(1))).text == heard(1)
    switch.close()


async def test_dictation_waits_for_the_piece_in_hand_and_for_no_other(house: House) -> None:
    order: list[int] = []
    first_has_begun, gate = threading.Event(), threading.Event()

    def note(utterance: Utterance) -> None:
        order.append(utterance.id)
        first_has_begun.set()
        gate.wait(30)

    house.before = note
    async with loaded(house) as switch:
        pieces = [asyncio.create_task(switch.recognize(spoken(number), urgent=False)) for number in (101, 102, 103)]
        await eventually(first_has_begun.is_set)
        live = [asyncio.create_task(switch.recognize(spoken(number))) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*pieces, *live)
    assert order == [101, 1, 2, 3, 102, 103]


async def test_a_piece_of_a_file_counts_as_use_when_it_is_over(house: House) -> None:
    """Between two checks of `unload_after_s` a short file begins and ends."""
    async with loaded(house) as switch:
        assert switch.busy_until_s == -math.inf
        await switch.recognize(spoken(1), urgent=False)
        assert 0 < switch.busy_until_s <= asyncio.get_running_loop().time()


async def test_utterances_that_come_one_after_the_other_leave_no_gap_for_a_piece(house: House) -> None:
    """Each utterance is started when the previous one has been answered, as in the pipeline."""
    order: list[int] = []
    house.before = lambda utterance: order.append(utterance.id)
    async with loaded(house) as switch:

        async def dictate() -> None:
            for number in range(1, 6):
                await switch.recognize(spoken(number))

        live = asyncio.create_task(dictate())
        await asyncio.sleep(0)
        await asyncio.gather(live, switch.recognize(spoken(101), urgent=False))
    assert order == [1, 2, 3, 4, 5, 101]


async def test_reload_reads_settings_and_model_again(house: House) -> None:
    settings = Settings(model=SETTINGS)
    fresh = Settings(model=replace(SETTINGS, precision="int8"))
    async with loaded(house) as switch:
        engine, used = house.engine(switch, settings, lambda: fresh)
        await engine.reload()
        assert used == [fresh]
        assert switch.status.precision == "int8"
        assert engine.figures().counts[Count.MODEL_LOADS] == 2
        assert engine.figures().model_load_s > 0
        assert engine.figures().resident_bytes > 10_000_000


@pytest.mark.parametrize("wrong", ["settings", "model"])
async def test_a_reload_that_fails_leaves_everything_as_it_was(house: House, wrong: str) -> None:
    def fresh() -> Settings:
        if wrong == "settings":
            raise SettingsError("coldvoxd.toml, line 3: no.")
        return Settings(model=replace(SETTINGS, name="no-such-model"))

    async with loaded(house) as switch:
        engine, used = house.engine(switch, Settings(model=SETTINGS), fresh)
        with pytest.raises((InvalidOption, NotReady), match=r"line 3|no-such-model"):
            await engine.reload()
        assert used == []
        assert (await switch.recognize(spoken(1))).text == heard(1)


class SlowFile:
    """A settings file on a disk that responds when `disk` is set."""

    def __init__(self, error: SettingsError | None = None) -> None:
        self.disk = threading.Event()
        self.reads = 0
        self._error = error

    def read(self) -> Settings:
        self.reads += 1
        if self.reads == 1:
            self.disk.wait(10)
        if self._error is not None:
            raise self._error
        return Settings(model=replace(SETTINGS, precision="int8"))


async def test_reloads_that_arrive_together_are_one_and_read_the_file_beside_the_event_loop(house: House) -> None:
    file = SlowFile()
    async with loaded(house) as switch:
        engine, used = house.engine(switch, Settings(model=SETTINGS), file.read)
        first = asyncio.create_task(engine.reload())
        await eventually(lambda: file.reads == 1, what="the first reload at the file")
        assert not file.disk.is_set(), "the event loop runs while the file is read"
        for _ in range(50):
            engine.reload_soon()
        later = [asyncio.create_task(engine.reload()) for _ in range(10)]
        await asyncio.sleep(0)
        file.disk.set()
        await asyncio.gather(first, *later)
        assert file.reads == 2, "the file may have changed after the first read"
        assert len(used) == 2


async def test_the_failure_of_merged_reloads_reaches_each_caller_and_is_logged_once(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    file = SlowFile(SettingsError("coldvoxd.toml, line 3: no."))
    async with loaded(house) as switch:
        engine, used = house.engine(switch, Settings(model=SETTINGS), file.read)
        for _ in range(50):
            engine.reload_soon()
        calls = [asyncio.create_task(engine.reload()) for _ in range(3)]
        await asyncio.sleep(0)
        file.disk.set()
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(failure) for failure in failures] == [InvalidOption] * 3
        await eventually(lambda: "not reloaded" in caplog.text, what="the failure in the log")
        assert caplog.text.count("not reloaded") == 1
        assert used == []
        assert file.reads <= 2


async def test_providers_are_asked_for_by_name(house: House) -> None:
    virtual = f"virtual:{house.socket}"
    async with loaded(house, replace(SETTINGS, provider=virtual)) as switch:
        await eventually(lambda: switch.status.provider == PROVIDER, what="the accelerator in use")
        engine, _ = house.engine(switch, Settings(model=replace(SETTINGS, provider=virtual)), Settings)
        await engine.set_provider("cpu")
        assert switch.status.provider == CPU
        loads = house.metrics.figures().counts[Count.MODEL_LOADS]
        await engine.set_provider("CPU")
        assert house.metrics.figures().counts[Count.MODEL_LOADS] == loads, "it already runs there"
        await engine.set_provider(virtual)
        assert switch.status.provider == PROVIDER
        with pytest.raises(InvalidOption, match=r"'frob'.*auto.*cpu"):
            await engine.set_provider("frob")
        with pytest.raises(InvalidOption):
            await engine.set_provider("virtual:/elsewhere")
        if "tensorrt-rtx" not in available_providers():
            with pytest.raises(InvalidOption, match=r"needs the package onnxruntime-ep-nv-tensorrt-rtx-cu13"):
                await engine.set_provider("tensorrt-rtx:4090")
        assert switch.status.provider == PROVIDER


@pytest.mark.skipif(
    "cuda" not in available_providers(), reason="other hardware: ONNX Runtime knows CUDA on x86-64 alone"
)
async def test_a_provider_without_its_hardware_says_why_and_the_old_one_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    async with loaded(house) as switch:
        engine, _ = house.engine(switch, Settings(model=SETTINGS), Settings)
        with pytest.raises(ProviderUnavailable, match="cuda"):
            await engine.set_provider("cuda")
        assert (await switch.recognize(spoken(1))).text == heard(1)


async def test_a_load_that_takes_longer_than_a_caller_waits_goes_on(house: House) -> None:
    fresh = Settings(model=replace(SETTINGS, precision="int8"))
    async with loaded(house) as switch:
        engine, used = house.engine(switch, Settings(model=SETTINGS), lambda: fresh, answer_limit_s=0.001)
        with pytest.raises(LoadTimeout):
            await engine.reload()
        await eventually(lambda: used == [fresh], what="the settings in force")
        assert switch.status.precision == "int8"
