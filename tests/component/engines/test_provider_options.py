"""The options that a session of each provider gets, and that ONNX Runtime's own libraries know them."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet import padding
from coldvoxd.engines.parakeet.cuda_options import DECODER_LIMIT, cuda_options
from coldvoxd.engines.parakeet.provider_options import (
    BEHIND_TENSORRT,
    LONGEST_S,
    USUAL_S,
    WORKSPACE,
    decoder_provider,
    decoder_providers,
    encoder_providers,
)
from coldvoxd.native.opening import open_session
from coldvoxd.native.session import LONG_FEED_BYTES, SHRINK, OrtSession
from tests.support.models.tiny_graphs import BINS, write_tiny_parakeet

CACHE = Path("/cache")
CUDA = "CUDAExecutionProvider"


def test_tensorrt_gets_its_cache_precision_workspace_and_lengths() -> None:
    assert encoder_providers("tensorrt", Precision.FP16, 128, CACHE).first == {
        "trt_max_workspace_size": str(WORKSPACE),
        "trt_fp16_enable": "1",
        "trt_context_memory_sharing_enable": "1",
        "trt_profile_min_shapes": "audio_signal:1x128x101,length:1",
        "trt_profile_opt_shapes": "audio_signal:1x128x601,length:1",
        "trt_profile_max_shapes": "audio_signal:1x128x3201,length:1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "/cache/tensorrt",
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": "/cache/tensorrt",
    }


def test_the_lengths_of_an_engine_are_lengths_to_which_audio_is_padded() -> None:
    for seconds in (*padding.SECONDS, USUAL_S, LONGEST_S):
        assert padding.padded(100 * seconds) == 100 * seconds <= 100 * LONGEST_S


@pytest.mark.parametrize("precision", list(Precision))
def test_fp16_is_enabled_for_fp16_weights_alone(precision: Precision) -> None:
    options = encoder_providers("tensorrt", precision, 80, CACHE).first
    assert options["trt_fp16_enable"] == str(int(precision is Precision.FP16))


def test_a_cache_that_cannot_be_written_is_left_out() -> None:
    for provider in ("tensorrt", "tensorrt-rtx", "openvino"):
        assert not any("cache" in key for key in encoder_providers(provider, Precision.FP32, 80, None).first)


def test_the_other_plugins_get_theirs() -> None:
    rtx = encoder_providers("tensorrt-rtx:4090", Precision.FP32, 80, CACHE).first
    assert rtx["nv_runtime_cache_path"] == "/cache/tensorrt-rtx"
    assert rtx["nv_profile_max_shapes"] == "audio_signal:1x80x3201,length:1"
    assert encoder_providers("openvino:NPU", Precision.FP32, 80, CACHE).first == {"cache_dir": "/cache/openvino"}
    assert encoder_providers("webgpu", Precision.FP32, 80, CACHE).first == {}
    assert encoder_providers("cpu", Precision.FP32, 80, CACHE).first == {}


def test_behind_tensorrt_cuda_computes_the_rest_and_the_decoder() -> None:
    providers = encoder_providers("tensorrt", Precision.FP16, 128, CACHE)
    assert providers.behind == ((CUDA, cuda_options(Precision.FP16, BEHIND_TENSORRT)),)
    assert decoder_provider("tensorrt:4090") == "cuda:4090"
    assert decoder_provider("webgpu:Radeon") == "webgpu:Radeon"
    assert decoder_providers("cuda:4090", Precision.FP16).first["gpu_mem_limit"] == str(DECODER_LIMIT)


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ("tensorrt", encoder_providers("tensorrt", Precision.FP16, 128, CACHE).first),
        ("cuda", cuda_options(Precision.FP16)),
    ],
)
def test_this_onnx_runtime_knows_every_option(library: str, options: Mapping[str, str]) -> None:
    path = Path(onnxruntime.__file__).parent / f"capi/libonnxruntime_providers_{library}.so"
    if not path.exists():
        pytest.skip(f"this build of ONNX Runtime has no {path.name}")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as content:
        assert [name for name in options if content.find(name.encode() + b"\0") < 0] == []


def test_the_options_reach_onnx_runtime_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session itself is ONNX Runtime's own; only its arguments are noted."""
    taken: list[Any] = []
    real = onnxruntime.InferenceSession

    def noted(*arguments: Any, **named: Any) -> Any:
        taken.append(named["providers"])
        return real(*arguments, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    encoder = write_tiny_parakeet(tmp_path / "tiny") / "encoder-model.onnx"
    providers = encoder_providers("tensorrt", Precision.FP16, BINS, CACHE)
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of ONNX Runtime has no TensorRT provider")
    try:
        open_session(encoder, "tensorrt", provider_options=providers.first, behind=providers.behind).close()
    except ProviderUnavailable as error:  # a machine without NVIDIA's libraries
        assert "tensorrt" in str(error)  # noqa: PT017 - both outcomes are right
    assert taken == [[("TensorrtExecutionProvider", providers.first), *providers.behind, "CPUExecutionProvider"]]


def test_an_arena_is_shrunk_after_a_long_run_alone(tmp_path: Path) -> None:
    encoder = write_tiny_parakeet(tmp_path / "tiny") / "encoder-model.onnx"
    native = onnxruntime.InferenceSession(str(encoder), providers=["CPUExecutionProvider"])
    on_gpu, on_cpu = OrtSession(native, encoder, shrinks=True), OrtSession(native, encoder)
    long = {"audio_signal": np.zeros((1, 128, LONG_FEED_BYTES // 512), np.float32)}
    short = {"audio_signal": np.zeros((1, 128, LONG_FEED_BYTES // 512 - 1), np.float32)}
    options = on_gpu.run_options(long)
    assert options is not None
    assert options.get_run_config_entry(SHRINK) == "gpu:0"
    assert on_gpu.run_options(short) is on_cpu.run_options(long) is None
