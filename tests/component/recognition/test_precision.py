"""Which precision runs where: the order of preference in the settings, with the virtual accelerator."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.errors import ModelInvalid, ProviderUnavailable
from coldvoxd.core.failover_state import Reason
from coldvoxd.core.provider_errors import classify
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.engines.parakeet.padding import SECONDS
from coldvoxd.golden.clip import hear
from coldvoxd.models import find_model
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.precision_build import convert
from coldvoxd.recognition.factory import AcceleratorModel, find_backends, open_on_accelerator, virtual_accelerator
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[ModelSettings]:
    """The bundled model without precisions converted from fp32, on a virtual accelerator."""
    place = tmp_path / "mini"
    place.mkdir()
    for name in ("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json"):
        shutil.copy(bundled_directory() / name, place)
    chosen = ModelSettings(name=str(place), provider=f"virtual:{tmp_path}/gpu")
    yield chosen
    virtual_accelerator(chosen).close()


def make(settings: ModelSettings, precision: Precision) -> None:
    convert(find_model(settings.name, Precision.FP32), precision, hear)


async def running(settings: ModelSettings) -> EngineStatus:
    """Return the status of Engine1 after the accelerator has been tried."""
    status = EngineStatus()
    supervisor = Supervisor(find_backends(settings), status)
    await supervisor.load()
    await supervisor.probe_ended()
    supervisor.close()
    return supervisor.state.engine


async def test_where_it_is_left_open_the_accelerator_runs_fp16_and_the_cpu_fp32(settings: ModelSettings) -> None:
    make(settings, Precision.FP16)
    told = await running(settings)
    assert (told.provider, told.precision, told.degraded) == (PROVIDER, "fp16", "")
    told = await running(replace(settings, provider="cpu"))
    assert (told.provider, told.precision) == ("CPUExecutionProvider", "fp32")


async def test_where_fp16_was_not_made_both_run_fp32(settings: ModelSettings) -> None:
    told = await running(settings)
    assert (told.provider, told.precision) == (PROVIDER, "fp32")


async def test_fp16_that_was_made_of_other_files_is_left_alone(settings: ModelSettings) -> None:
    make(settings, Precision.FP16)
    (Path(settings.name) / "encoder-model.onnx").touch()
    assert (await running(settings)).precision == "fp32"


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
async def test_a_precision_that_is_named_runs_everywhere(settings: ModelSettings, precision: Precision) -> None:
    make(settings, precision)
    told = await running(replace(settings, provider="cpu", precision=str(precision)))
    assert told.precision == precision


def test_fp16_that_is_named_and_not_there_says_how_it_is_made(settings: ModelSettings) -> None:
    with pytest.raises(ModelInvalid, match=r"coldvoxctl model prepare .* --precision fp16"):
        open_on_accelerator(AcceleratorModel(replace(settings, precision="fp16")), "cuda")


def test_fp32_on_a_full_card_is_not_begun(settings: ModelSettings) -> None:
    with pytest.raises(ProviderUnavailable, match="GiB are free") as refusal:
        open_on_accelerator(AcceleratorModel(settings), "cuda", lambda: 3 << 30)
    assert classify(str(refusal.value))[1] is Reason.GPU_OUT_OF_MEMORY


def test_the_ladder_asks_how_much_of_the_card_is_free(settings: ModelSettings) -> None:
    wanted = find_backends(replace(settings, provider="cuda"), free_bytes=lambda: 3 << 30).accelerator
    assert wanted is not None
    with pytest.raises(ProviderUnavailable, match="GiB are free"):
        wanted()


def test_a_real_accelerator_is_warmed_for_each_length_and_nothing_else_is(settings: ModelSettings) -> None:
    assert find_backends(replace(settings, provider="cuda")).lengths_s == SECONDS
    assert find_backends(settings).lengths_s == find_backends(replace(settings, provider="cpu")).lengths_s == ()


@pytest.mark.heavy
def test_the_command_makes_fp16_and_tells_where_it_is(settings: ModelSettings, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coldvoxd.cli.main", "--json", "model", "prepare", settings.name, "--precision", "fp16"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path / "config")},
    )
    told = json.loads(done.stdout)
    assert (told["precision"], told["path"]) == ("fp16", settings.name)
    assert find_model(settings.name, Precision.FP16).encoder.exists()
