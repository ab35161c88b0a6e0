"""A GPU whose CPU standby is cold, a model file that is removed, and the fallback engine: what serves, and what is notified."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coldvoxd.core.fallback import FallbackEngine
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.problems import Problem, by_severity
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends, FallbackBackend, Golden
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from coldvoxd.virtual.faults import Wrap
from tests.support.eventually import eventually
from tests.support.failover_stage import CPU, Stage, heard, on_accelerator, open_mini
from tests.support.sound.speech import samples

pytestmark = pytest.mark.heavy


@asynccontextmanager
async def cold_stage(tmp_path: Path) -> AsyncIterator[tuple[Stage, Path]]:
    """Run a supervisor whose accelerator serves, with a cold standby; also yield the directory of its CPU model."""
    place = tmp_path / "model"
    shutil.copytree(find_model("mini", Precision.FP32).directory, place)

    def from_there(wrap: Wrap = lambda session: session) -> Recognizer:
        return ParakeetRecognizer.open(find_model(str(place), Precision.FP32), wrap=wrap)

    accelerator = VirtualAccelerator(tmp_path / "gpu", from_there)
    engine = FallbackEngine(
        lambda _path, _threads: open_mini(), lambda _path: None, longest_s=30.0, run_s=60.0, stops_quickly=False
    )
    fallback = FallbackBackend("whisper", "ggml-base.bin", lambda: engine, lambda found: found.open(Path("model"), 1))
    backends = Backends(
        accelerator.open_on_cpu,
        accelerator.open,
        "virtual",
        Golden(samples()[2].wave()),
        readiness=Readiness.COLD,
        model="own",
        fallback=fallback,
    )
    supervisor = Supervisor(backends, EngineStatus(), lambda: None)
    staged = Stage(tmp_path / "gpu", supervisor)
    await supervisor.load()
    try:
        await on_accelerator(staged)
        cpu = supervisor._cpu
        await eventually(lambda: not cpu.packed.is_open and cpu.settled, what="the CPU's model released")
        yield staged, place
    finally:
        supervisor.close()
        accelerator.close()


async def fallback_serves(staged: Stage) -> None:
    await eventually(lambda: staged.supervisor.state.engine.running.name == "whisper", what="the fallback engine")
    status = staged.supervisor.state.engine
    assert by_severity(status.problems) == (Problem.FALLBACK_ENGINE, Problem.MODEL_MISSING)
    assert status.last_error.endswith("The fallback engine whisper recognizes instead.")
    assert (status.ready, status.model) == (True, "ggml-base.bin")


async def model_is_back(staged: Stage) -> None:
    await eventually(lambda: staged.supervisor.state.engine.running.name == "parakeet", what="the model")


async def test_a_gpu_that_fails_without_its_model_on_disk_leaves_all_to_the_fallback_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coldvoxd.core.failover_state.FIRST_PROBE_PAUSE_S", 3600.0)
    async with cold_stage(tmp_path) as (staged, place):
        away = place.rename(tmp_path / "away")
        assert (await staged.hear(0)).provider == PROVIDER, "the GPU needs no file"
        assert staged.supervisor.state.engine.problems == ()
        await staged.tell("FAULT memory")
        assert (await staged.hear(1)).text == heard(1)
        await fallback_serves(staged)
        assert (await staged.hear(2)).text == heard(2)
        away.rename(place)
        await model_is_back(staged)
        status = staged.supervisor.state.engine
        assert (status.provider, status.problems) == (CPU, (Problem.GPU_OUT_OF_MEMORY,)), "the GPU waits for its retry"
        assert (await staged.hear(3)).provider == CPU
        staged.probe_now()
        await on_accelerator(staged)
        assert staged.supervisor.state.engine.problems == ()
        assert (await staged.hear(4)).provider == PROVIDER


async def test_a_gpu_that_is_well_before_the_model_is_loaded_again_is_what_recognizes_and_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two is first."""
    monkeypatch.setattr("coldvoxd.core.failover_state.FIRST_PROBE_PAUSE_S", 3600.0)
    async with cold_stage(tmp_path) as (staged, place):
        away = place.rename(tmp_path / "away")
        await staged.tell("FAULT memory")
        assert (await staged.hear(0)).text == heard(0)
        await fallback_serves(staged)
        away.rename(place)
        staged.probe_now()
        await model_is_back(staged)
        await on_accelerator(staged)
        assert staged.supervisor.state.engine.problems == ()
        assert (await staged.hear(1)).provider == PROVIDER
        cpu = staged.supervisor._cpu
        await eventually(lambda: not cpu.packed.is_open and cpu.settled, what="the CPU's model released")


async def test_a_gpu_that_is_only_late_without_its_model_on_disk_is_waited_for(tmp_path: Path) -> None:
    async with cold_stage(tmp_path) as (staged, place):
        await staged.hear(0)
        place.rename(tmp_path / "away")
        await staged.tell("HANG 4000")
        late = await staged.hear(1)
        assert (late.text, late.provider) == (heard(1), PROVIDER)
        status = staged.supervisor.state.engine
        assert (status.running.name, status.provider, status.problems) == ("parakeet", PROVIDER, ())
