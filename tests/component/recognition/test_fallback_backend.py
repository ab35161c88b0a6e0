"""The choice of the fallback engine, the path of its model, and the memory that a model may take."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.errors import ColdvoxError, LibraryUnusable, ModelMissing, ResourcesExhausted
from coldvoxd.core.fallback import Fallback, FallbackEngine
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import Precision
from coldvoxd.engines.fallback_engines import find_engine
from coldvoxd.models import find_model
from coldvoxd.native.memory import available_bytes
from coldvoxd.recognition.factory import find_backends
from coldvoxd.recognition.fallback_backend import weight_bytes, with_fallback

ROOT = Path(__file__).parents[3]
MINI = ModelSettings(name="mini", provider="cpu")


@pytest.mark.parametrize("name", [Fallback.WHISPER, Fallback.VOSK])
def test_an_engine_is_found_by_its_entry_point(name: str) -> None:
    assert isinstance(find_engine(name), FallbackEngine)


def test_an_unknown_engine_is_a_sentence() -> None:
    with pytest.raises(LibraryUnusable, match="no engine other: reinstall"):
        find_engine("other")


def test_the_daemon_imports_no_engine_until_it_is_chosen() -> None:
    code = """
import sys
import coldvoxd.daemon
from coldvoxd.engines.fallback_engines import find_engine
def loaded(): return sorted(sys.modules.keys() & {"_pywhispercpp", "pywhispercpp", "vosk", "requests"})
print(loaded())
find_engine("whisper"), find_engine("vosk")
print(loaded())
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n[]\n"


def test_without_the_setting_there_is_no_fallback() -> None:
    backends = find_backends(MINI)
    assert backends.fallback is None
    assert with_fallback(backends, MINI) is backends


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "`fallback_model` under .model. is not set"),
        ("models/ggml-base.bin", "must be an absolute path, not models/ggml-base.bin"),
        ("~no-such-user/ggml-base.bin", "no home directory"),
        ("/nowhere/ggml-base.bin", "no file /nowhere/ggml-base.bin"),
    ],
)
def test_a_path_that_is_no_model_is_a_sentence(path: str, said: str) -> None:
    fallback = find_backends(replace(MINI, fallback="whisper", fallback_model=path)).fallback
    assert fallback is not None
    with pytest.raises(ModelMissing, match=said):
        fallback.open(fallback.find())


def test_a_model_that_is_larger_than_the_free_memory_is_not_loaded() -> None:
    settings = replace(MINI, fallback="whisper", fallback_model="/nowhere/ggml-base.bin")
    needed = weight_bytes(find_model("mini", Precision.FP32))
    assert needed > 5_000_000
    backends = find_backends(MINI)
    with pytest.raises(ResourcesExhausted, match=r"The model mini needs .* and .* are free"):
        with_fallback(backends, settings, lambda: needed - 1).cpu()
    with_fallback(backends, settings, lambda: needed).cpu().close()
    with_fallback(backends, settings, lambda: None).cpu().close()


def test_a_missing_model_is_reported_as_that_whatever_memory_is_free() -> None:
    settings = replace(MINI, name="/nowhere/model", fallback="whisper")
    with pytest.raises(ColdvoxError, match="no model directory"):
        with_fallback(find_backends(settings), settings, lambda: 0).cpu()


def test_the_free_memory_is_the_smallest_of_the_limits(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8000 kB\nMemAvailable:  4000 kB\n")
    assert available_bytes(tmp_path) == 4_096_000
    (tmp_path / "proc/self/cgroup").write_text("0::/user.slice/coldvoxd.service\n")
    for name, limit in (("user.slice/coldvoxd.service", "max"), ("user.slice", "1000000"), ("", "9000000")):
        group = tmp_path / "sys/fs/cgroup" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.max").write_text(f"{limit}\n")
    assert available_bytes(tmp_path) == 1_000_000
    assert (available_bytes() or 0) > 1_000_000
