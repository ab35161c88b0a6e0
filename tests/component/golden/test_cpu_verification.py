"""The CPU recognizes the golden clip after each load; wrong words are a problem with a remedy."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
import pytest

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Precision, Utterance
from coldvoxd.golden.clip import SPOKEN, clip, is_right
from coldvoxd.golden.verdict_cache import write_verdict
from coldvoxd.models import find_model
from coldvoxd.models.directories import bundled_directory
from coldvoxd.recognition.backends import Backends, CpuReference
from coldvoxd.recognition.cpu_verification import CpuVerification
from coldvoxd.recognition.factory import find_backends
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.recognition.worker import RecognizerWorker
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

SETTINGS = ModelSettings(name="mini", provider="cpu")
OTHER_LANGUAGE = "Allo Anna, ça va bien?"


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundled model that `mini` names, and a separate cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    copy = tmp_path / "data/coldvoxd/models/mini"
    shutil.copytree(bundled_directory(), copy)
    return copy


def damage(encoder: Path) -> None:
    """Exchange the halves of five large weights: the graph still loads, and its values are finite and wrong."""
    content = encoder.read_bytes()
    weights = sorted((weight.raw_data for weight in onnx.load(encoder).graph.initializer), key=len)[-5:]
    for weight in weights:
        half = len(weight) // 2
        content = content.replace(weight, weight[half:] + weight[:half])
    encoder.write_bytes(content)


@dataclass
class Witness:
    """Passes the texts of the clip to the real judge, and keeps its verdicts."""

    reference: CpuReference
    verdicts: list[bool] = field(default_factory=list)

    def is_right(self, precision: str, text: str) -> bool:
        self.verdicts.append(self.reference.is_right(precision, text))
        return self.verdicts[-1]


def witnessed(settings: ModelSettings = SETTINGS) -> tuple[Backends, Witness]:
    backends = find_backends(settings)
    assert backends.cpu_reference is not None
    witness = Witness(backends.cpu_reference)
    return replace(backends, cpu_reference=CpuReference(clip(), witness.is_right)), witness


@asynccontextmanager
async def loaded(backends: Backends, before: EngineStatus | None = None) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(backends, before or EngineStatus())
    await supervisor.load()
    try:
        yield supervisor
    finally:
        supervisor.close()


async def test_damaged_weights_are_a_problem_with_a_remedy(model: Path) -> None:
    damage(model / "encoder-model.onnx")
    async with loaded(find_backends(SETTINGS)) as supervisor:
        await eventually(lambda: supervisor.state.engine.problems == (Problem.CPU_WRONG_OUTPUT,))
        assert "`coldvoxctl model verify`" in supervisor.state.engine.last_error
        assert supervisor.state.engine.ready, "there is nothing better to recognize with"


@pytest.mark.heavy
async def test_a_record_made_with_damaged_weights_does_not_hide_them(model: Path) -> None:
    damage(model / "encoder-model.onnx")
    write_verdict(find_model("mini", Precision.FP32), "the the")
    async with loaded(find_backends(SETTINGS)) as supervisor:
        await eventually(lambda: supervisor.state.engine.problems == (Problem.CPU_WRONG_OUTPUT,))


@pytest.mark.heavy
async def test_another_text_than_the_one_on_record_is_a_problem_in_int8(model: Path) -> None:
    (model / "encoder-model.onnx").unlink()
    alone = model.rename(model.with_name("int8-alone"))
    write_verdict(find_model(str(alone), Precision.INT8), "Something else was said.")
    async with loaded(find_backends(replace(SETTINGS, name=str(alone), precision="int8"))) as supervisor:
        await eventually(lambda: supervisor.state.engine.problems == (Problem.CPU_WRONG_OUTPUT,))


async def test_sound_weights_are_verified_once_and_are_no_problem() -> None:
    backends, witness = witnessed()
    async with loaded(backends) as supervisor:
        await eventually(lambda: witness.verdicts == [True])
        assert supervisor.state.engine.problems == ()
        assert supervisor.state.engine.last_error == ""


async def test_a_sound_model_loaded_afterwards_clears_the_problem(model: Path) -> None:
    damage(model / "encoder-model.onnx")
    async with loaded(find_backends(SETTINGS)) as supervisor:
        await eventually(lambda: supervisor.state.engine.problems == (Problem.CPU_WRONG_OUTPUT,))
        shutil.copy(bundled_directory() / "encoder-model.onnx", model)
        backends, witness = witnessed()
        async with loaded(backends, supervisor.state.engine) as fresh:
            await eventually(lambda: witness.verdicts == [True])
            assert fresh.state.engine.problems == ()


async def test_an_utterance_stops_the_verification_which_is_repeated_later() -> None:
    backends, witness = witnessed()
    worker = RecognizerWorker("cpu", backends.cpu)
    await worker.open()
    reported: list[str] = []
    verification = CpuVerification(backends.cpu_reference, worker, reported.append, quiet_s=0.05)
    verification.start()
    speech = Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)
    for _ in range(2):
        with verification.postponed():
            run = worker.start(speech)
            assert (await run.answer).text == samples()[0].heard["fp32"]
            assert witness.verdicts == []
    await eventually(lambda: witness.verdicts == [True])
    with verification.postponed():
        pass
    assert verification.is_settled
    assert reported == []
    verification.close()
    worker.close()


async def test_a_model_whose_files_are_gone_is_not_judged() -> None:
    def refuse(_precision: str, _text: str) -> bool:
        raise ModelInvalid("the files are gone")

    backends = replace(find_backends(SETTINGS), cpu_reference=CpuReference(clip(), refuse))
    worker = RecognizerWorker("cpu", backends.cpu)
    await worker.open()
    reported: list[str] = []
    verification = CpuVerification(backends.cpu_reference, worker, reported.append)
    verification.start()
    await eventually(lambda: verification.is_settled)
    assert reported == []
    worker.close()


@pytest.mark.parametrize(
    ("name", "on_record", "heard", "expected"),
    [
        ("mini", "", SPOKEN, True),
        ("mini", "", "hello anna send a message to peter", True),
        ("mini", "", "hello hannah send a message to peter", False),
        ("mini", "", "", False),
        ("mini", "Hello Anna, send a message to Peter.", "Hello Anna, send a message to Peter.", True),
        ("mini", OTHER_LANGUAGE, OTHER_LANGUAGE, False),
        ("parakeet-tdt-0.6b-v2-onnx", "", OTHER_LANGUAGE, False),
        ("our-parakeet", "", OTHER_LANGUAGE, True),
        ("our-parakeet", OTHER_LANGUAGE, OTHER_LANGUAGE, True),
        ("our-parakeet", OTHER_LANGUAGE, SPOKEN, False),
        ("our-parakeet", "", " ", False),
    ],
)
def test_what_the_cpu_may_recognize(model: Path, name: str, on_record: str, heard: str, expected: bool) -> None:
    files = find_model(str(model.rename(model.with_name(name))), Precision.FP32)
    if on_record:
        write_verdict(files, on_record)
    assert is_right(files, heard) is expected
