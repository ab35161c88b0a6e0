"""The recognizer's supervisor, with real recognizers of the bundled model and injected faults."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import InputFault, ModelInvalid, ModelMissing, ProviderFault, RecognitionFailed
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EndReason, EngineStatus, Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.run_times import watchdog_limit_s
from coldvoxd.recognition.supervisor import Supervisor
from tests.support.eventually import eventually

STATUS = EngineStatus()


def open_model(name: str) -> Recognizer:
    return ParakeetRecognizer.open(find_model(name, Precision.FP32))


def noise(seconds: float = 0.5, number: int = 1) -> Utterance:
    samples = np.random.default_rng(number).normal(0, 0.01, int(seconds * 16_000)).astype(np.float32)
    return Utterance(number, 1, 0, samples, EndReason.ENDPOINT)


class Faulty:
    """A real recognizer with an injected fault."""

    def __init__(self, before: Callable[[Utterance], object]) -> None:
        self._real = open_model("mini")
        self._before = before

    @property
    def provider(self) -> str:
        return self._real.provider

    @property
    def precision(self) -> Precision:
        return Precision.FP32

    @property
    def features_size(self) -> int:
        return self._real.features_size

    @property
    def languages(self) -> tuple[str, ...]:
        return self._real.languages

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        if utterance.id:  # the warm-up has no number
            self._before(utterance)
        return self._real.recognize(utterance, stop)

    def close(self) -> None:
        self._real.close()


async def test_a_loaded_model_tells_what_really_runs() -> None:
    changes: list[EngineStatus] = []
    supervisor = Supervisor(
        Backends(lambda: open_model("mini"), model="mini"), STATUS, lambda: changes.append(supervisor.state.engine)
    )
    assert supervisor.state.engine.loading
    assert supervisor.state.engine.model == ""
    await supervisor.load()
    assert (changes[-1].model, changes[-1].precision) == ("mini", "fp32")
    assert changes[-1].ready
    assert changes[-1].provider == "CPUExecutionProvider"
    supervisor.check_ready()
    hypothesis = await supervisor.recognize(noise())
    assert hypothesis.provider == "CPUExecutionProvider"
    assert supervisor.state.engine.running.features_size == 128
    supervisor.close()


async def test_utterances_wait_for_the_model_that_loads() -> None:
    supervisor = Supervisor(Backends(lambda: open_model("mini")), STATUS)
    waiting = [asyncio.create_task(supervisor.recognize(noise(number=number))) for number in (1, 2, 3)]
    await supervisor.load()
    assert len(await asyncio.gather(*waiting)) == 3
    supervisor.close()


async def test_a_missing_model_is_told_and_noticed_when_it_has_been_placed(tmp_path: Path) -> None:
    place = tmp_path / "model"
    supervisor = Supervisor(Backends(lambda: open_model(str(place))), STATUS)
    loading = asyncio.create_task(supervisor.load())
    await eventually(lambda: supervisor.state.engine.degraded == "model-missing")
    with pytest.raises(ModelMissing):
        supervisor.check_ready()
    with pytest.raises(ModelMissing):
        await supervisor.recognize(noise())
    mini = find_model("mini", Precision.FP32)
    place.mkdir()
    shutil.copy(mini.encoder, place)
    await eventually(lambda: supervisor.state.engine.degraded == "model-invalid")
    for path in (*mini.decoder, mini.vocabulary, mini.directory / "config.json"):
        shutil.copy(path, place)
    await eventually(lambda: supervisor.state.engine.ready)
    await loading
    assert supervisor.state.engine.degraded == ""
    supervisor.close()


async def test_a_truncated_model_is_invalid_and_named(tmp_path: Path) -> None:
    mini = find_model("mini", Precision.FP32)
    shutil.copytree(mini.directory, tmp_path / "model")
    encoder = tmp_path / "model" / mini.encoder.name
    encoder.write_bytes(encoder.read_bytes()[:100_000])
    supervisor = Supervisor(Backends(lambda: open_model(str(tmp_path / "model"))), STATUS)
    loading = asyncio.create_task(supervisor.load())
    await eventually(lambda: supervisor.state.engine.degraded == "model-invalid")
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx"):
        supervisor.check_ready()
    loading.cancel()
    supervisor.close()


async def test_a_fault_that_passes_costs_nothing() -> None:
    faults = iter([ProviderFault("scripted"), None])

    def fail_once(_: Utterance) -> None:
        if (fault := next(faults)) is not None:
            raise fault

    supervisor = Supervisor(Backends(lambda: Faulty(fail_once)), STATUS)
    await supervisor.load()
    hypothesis = await supervisor.recognize(noise())
    assert hypothesis.provider == "CPUExecutionProvider"
    assert "scripted" in supervisor.state.engine.last_error
    supervisor.close()


async def test_a_fault_that_stays_is_told_and_never_becomes_an_empty_text() -> None:
    def fail(_: Utterance) -> None:
        raise ProviderFault("scripted")

    supervisor = Supervisor(Backends(lambda: Faulty(fail)), STATUS)
    await supervisor.load()
    with pytest.raises(RecognitionFailed, match="scripted"):
        await supervisor.recognize(noise())
    supervisor.close()


async def test_a_bug_is_told_as_one_and_the_next_utterance_is_recognized() -> None:
    def fail_on_the_first(utterance: Utterance) -> None:
        if utterance.id == 1:
            raise ZeroDivisionError

    supervisor = Supervisor(Backends(lambda: Faulty(fail_on_the_first)), STATUS)
    await supervisor.load()
    with pytest.raises(RecognitionFailed, match=r"ZeroDivisionError.*report"):
        await supervisor.recognize(noise(number=1))
    await supervisor.recognize(noise(number=2))
    supervisor.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
async def test_audio_that_no_model_takes_stays_an_input_fault(value: float) -> None:
    supervisor = Supervisor(Backends(lambda: open_model("mini")), STATUS)
    await supervisor.load()
    broken = Utterance(1, 1, 0, np.full(16_000, value, np.float32), EndReason.STOP)
    with pytest.raises(InputFault):
        await supervisor.recognize(broken)
    supervisor.close()


async def test_a_call_thread_past_its_limit_breaks_the_promise_and_a_working_one_does_not() -> None:
    gate = threading.Event()
    supervisor = Supervisor(Backends(lambda: Faulty(lambda _: gate.wait())), STATUS)
    await supervisor.load()
    loop = asyncio.get_running_loop()
    hanging = asyncio.create_task(supervisor.recognize(noise()))
    await eventually(lambda: supervisor._cpu.packed._thread.busy_since_s is not None)
    assert supervisor.promise_kept(loop.time())
    assert not supervisor.promise_kept(loop.time() + watchdog_limit_s(0.5) + 1)
    gate.set()
    await hanging
    assert supervisor.promise_kept(loop.time() + 1000)
    supervisor.close()
