"""Which recognizers the settings select, and which of them are trusted."""

import logging
import math
import shutil
from pathlib import Path

import pytest

from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Precision, Utterance
from coldvoxd.golden.verdict_cache import write_verdict
from coldvoxd.models import find_model
from coldvoxd.recognition.factory import find_backends
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.client import command
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

TRUTH = "Hello Anna, send the message to Peter."


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSettings:
    """A copy of the bundled model that a test may change, behind the virtual accelerator, with a separate cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = shutil.copytree(find_model("mini", Precision.FP32).directory, tmp_path / "model")
    return ModelSettings(name=str(model), provider=f"virtual:{tmp_path / 'gpu'}", standby_precision="int8")


def test_the_cpu_stands_by_in_the_precision_that_is_wanted(settings: ModelSettings) -> None:
    assert find_backends(settings).cpu().precision is Precision.INT8


def test_it_stands_by_in_the_precision_that_there_is(settings: ModelSettings) -> None:
    (Path(settings.name) / "encoder-model.int8.onnx").unlink()
    assert find_backends(settings).cpu().precision is Precision.FP32


def test_a_precision_that_hears_too_little_of_the_golden_clip_is_left_for_fp32(
    settings: ModelSettings, caplog: pytest.LogCaptureFixture
) -> None:
    write_verdict(find_model(settings.name, Precision.FP32), "Hello Hannah, send the messages to Paul.")
    assert find_backends(settings).cpu().precision is Precision.FP32
    assert "recognizes too little of the golden clip in int8; using fp32 instead" in caplog.text


def test_where_there_is_no_other_precision_it_is_used_and_that_told(
    settings: ModelSettings, caplog: pytest.LogCaptureFixture
) -> None:
    write_verdict(find_model(settings.name, Precision.INT8), "Hello Hannah, send the messages to Paul.")
    (Path(settings.name) / "encoder-model.onnx").unlink()
    cpu_only = ModelSettings(name=settings.name, precision="int8", provider="cpu")
    assert find_backends(cpu_only).cpu().precision is Precision.INT8
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_the_precision_told_is_that_of_the_recognizer_in_use(settings: ModelSettings) -> None:
    supervisor = Supervisor(find_backends(settings), EngineStatus())
    socket = Path(settings.provider.removeprefix("virtual:"))
    await supervisor.load()
    assert supervisor.state.engine.precision == "int8"
    await eventually(lambda: supervisor.state.on_accelerator)
    assert supervisor.state.engine.precision == "fp32"
    command(socket, "FAULT memory")
    clip = samples()[0].wave()
    assert (await supervisor.recognize(Utterance(1, 1, 0, clip, EndReason.ENDPOINT))).text == samples()[0].heard["int8"]
    assert supervisor.state.engine.precision == "int8"
    supervisor.close()


async def test_utterances_are_no_longer_than_the_model_can_take() -> None:
    name = "parakeet-tdt-0.6b-v2"
    by_precision = {
        precision: find_backends(ModelSettings(name=name, precision=precision, provider="cpu")).longest_s
        for precision in ("fp32", "int8")
    }
    assert by_precision == {"fp32": math.inf, "int8": 15}
    supervisor = Supervisor(find_backends(ModelSettings(name=name, precision="int8", provider="cpu")), EngineStatus())
    assert supervisor.longest_s == supervisor.model_longest_s == 15
    supervisor.close()
