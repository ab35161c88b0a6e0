"""The CPU's text of the golden clip is recorded once for these exact weights, and an accelerator is judged by it."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import onnx
import pytest

from coldvoxd.core.ports import Recognizer
from coldvoxd.core.values import EngineStatus, ModelFiles, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden import clip as golden
from coldvoxd.golden.verdict_cache import recorded, verdict, verdict_path, write_verdict
from coldvoxd.models import find_model
from coldvoxd.recognition.backends import Backends, Golden
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.virtual.accelerator import PROVIDER, VirtualAccelerator
from coldvoxd.virtual.client import command
from coldvoxd.virtual.faults import Wrap
from tests.support.eventually import eventually

TRUTH = "Hello Anna, send the message to Peter."


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the bundled model that a test may change."""
    return shutil.copytree(find_model("mini", Precision.FP32).directory, tmp_path / "model")


def files(directory: Path, precision: Precision = Precision.FP32) -> ModelFiles:
    return find_model(str(directory), precision)


def open_mini(wrap: Wrap = lambda session: session) -> Recognizer:
    return ParakeetRecognizer.open(find_model("mini", Precision.FP32), wrap=wrap)


def test_what_the_cpu_said_is_recorded_and_found_again(model: Path) -> None:
    assert recorded(files(model)) is None
    assert golden.record(files(model)) == TRUTH
    assert recorded(files(model)) == TRUTH
    assert verdict(files(model)).truths == (TRUTH,)


def test_what_is_on_record_is_not_asked_again(model: Path) -> None:
    write_verdict(files(model), "Something else.")
    assert golden.record(files(model)) == "Something else."


@pytest.mark.parametrize("name", ["encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt", "config.json"])
def test_a_record_counts_for_these_very_files_alone(model: Path, name: str) -> None:
    golden.record(files(model))
    changed = model / name
    before = changed.stat()
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert recorded(files(model)) is None


def test_weights_in_a_file_of_their_own_count_too(model: Path) -> None:
    """Pins that replacing the 2.4 GB beside the published encoder makes it a different model."""
    encoder, weights = model / "encoder-model.onnx", model / "encoder-model.onnx.data"
    onnx.save(onnx.load(encoder), encoder, save_as_external_data=True, location=weights.name)
    write_verdict(files(model), TRUTH)
    assert recorded(files(model)) == TRUTH
    os.utime(weights, ns=(1, 1))
    assert recorded(files(model)) is None


def test_int8_is_judged_by_what_fp32_says(model: Path) -> None:
    assert golden.record(files(model, Precision.INT8)) == TRUTH
    assert recorded(files(model)) == TRUTH, "both precisions were run"
    write_verdict(files(model, Precision.INT8), "Hello Hannah, send the message to Peter.")
    assert verdict(files(model, Precision.INT8)).truths == (TRUTH, "Hello Hannah, send the message to Peter.")
    assert verdict(files(model)).truths == (TRUTH,), "only int8 differs"


@pytest.mark.parametrize("own", ["", "Nothing of the kind."])
def test_int8_weights_that_hear_something_else_on_the_cpu_are_believed_nowhere(model: Path, own: str) -> None:
    write_verdict(files(model), TRUTH)
    write_verdict(files(model, Precision.INT8), own)
    assert verdict(files(model, Precision.INT8)).truths == (TRUTH,)


def test_int8_alone_is_its_own_truth(model: Path) -> None:
    (model / "encoder-model.onnx").unlink()
    assert golden.record(files(model, Precision.INT8)) == TRUTH
    assert verdict(files(model, Precision.INT8)).truths == (TRUTH,)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"text"', b"\xff"])
def test_a_damaged_record_is_none(model: Path, content: bytes) -> None:
    golden.record(files(model))
    verdict_path(files(model)).write_bytes(content)
    assert recorded(files(model)) is None
    assert golden.record(files(model)) == TRUTH


def test_records_of_models_that_are_gone_go(model: Path, tmp_path: Path, cache: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    golden.record(files(model))
    stale = verdict_path(files(model))
    shutil.rmtree(model)
    golden.record(files(other))
    assert not stale.exists()
    assert list((cache / "coldvoxd/golden").iterdir()) == [verdict_path(files(other))]


@asynccontextmanager
async def judged(tmp_path: Path, *script: str, on_record: str) -> AsyncIterator[tuple[Supervisor, Path]]:
    socket = tmp_path / "gpu"
    (tmp_path / "gpu.script").write_text("".join(f"{line}\n" for line in script))
    accelerator = VirtualAccelerator(socket, open_mini)
    backends = Backends(
        accelerator.open_on_cpu,
        accelerator.open,
        "virtual",
        Golden(golden.clip(), lambda: (on_record,) * bool(on_record)),
    )
    supervisor = Supervisor(backends, EngineStatus())
    await supervisor.load()
    await supervisor.probe_ended()
    try:
        yield supervisor, socket
    finally:
        supervisor.close()
        accelerator.close()


async def test_an_accelerator_is_judged_by_the_record_and_the_cpu_is_not_asked(tmp_path: Path) -> None:
    async with judged(tmp_path, on_record="hello anna send the message to peter") as (supervisor, socket):
        await eventually(lambda: supervisor.state.engine.provider == PROVIDER)
        assert "cpu_runs=1" in command(socket, "STATUS"), "only its warm-up"


async def test_an_accelerator_that_says_something_else_than_the_record_is_not_used(tmp_path: Path) -> None:
    async with judged(tmp_path, on_record="Hello Hannah.") as (supervisor, _):
        assert supervisor.state.engine.degraded == "gpu-wrong-output"


async def test_without_a_record_the_cpu_is_asked(tmp_path: Path) -> None:
    async with judged(tmp_path, on_record="") as (supervisor, socket):
        await eventually(lambda: supervisor.state.engine.provider == PROVIDER)
        assert "cpu_runs=2" in command(socket, "STATUS")


async def test_an_accelerator_and_a_cpu_that_both_hear_nothing_prove_nothing(tmp_path: Path) -> None:
    async with judged(tmp_path, "PASS 1", "FAULT empty", "CPU PASS 1", "CPU FAULT empty", on_record="") as (
        supervisor,
        _,
    ):
        assert supervisor.state.engine.degraded == "gpu-wrong-output"
