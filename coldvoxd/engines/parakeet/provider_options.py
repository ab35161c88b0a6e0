"""Options of the execution providers for a session of the encoder or of the decoder, as they reach ONNX Runtime.

Sources: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html, the options of NVIDIA's plugin
(https://nvidia.github.io/TensorRT-RTX-EP-ABI/) and those of Intel's. CUDA's are in `cuda_options`. Every value has a reason;
those for NVIDIA and Intel have not been run on their hardware yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coldvoxd.core.provider_names import SUFFIX, device_name, short_name, with_device
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet import padding
from coldvoxd.engines.parakeet.cuda_options import DECODER_LIMIT, MIB, cuda_options

CUDA_PROVIDER = f"CUDA{SUFFIX}"
WORKSPACE = 256 * MIB
"""Bytes that a builder of engines may use for trials of algorithms, and an engine for its steps."""
BEHIND_TENSORRT = 256 * MIB
"""Limit of CUDA's arena in bytes for what TensorRT does not compute: no weights of the encoder."""
USUAL_S, LONGEST_S = 6, 32
"""Lengths in seconds for which an engine is tuned, and up to which it is valid; both are lengths to which audio is padded."""


@dataclass(frozen=True, slots=True)
class SessionProviders:
    """The options of a session's provider, and the providers behind it, which compute what it cannot."""

    first: Mapping[str, str] = field(default_factory=dict)
    behind: tuple[tuple[str, Mapping[str, str]], ...] = ()
    """Full names with their options, in order; the CPU is always the last and not named."""


def encoder_providers(provider: str, precision: Precision, bins: int, cache: Path | None) -> SessionProviders:
    """Options of the encoder's session, which takes features of `bins` mel bins.

    `cache` is a directory for compiled engines; None where there is none that can be written.
    """
    match short_name(provider):
        case "cuda":
            return SessionProviders(cuda_options(precision))
        case "tensorrt":
            behind = ((CUDA_PROVIDER, cuda_options(precision, BEHIND_TENSORRT)),)
            return SessionProviders(_tensorrt(precision, bins, cache), behind)
        case "tensorrt-rtx":
            return SessionProviders(_tensorrt_rtx(bins, cache))
        case "openvino":
            return SessionProviders({"cache_dir": str(cache / "openvino")} if cache else {})
        case _:
            return SessionProviders()


def decoder_providers(provider: str, precision: Precision) -> SessionProviders:
    """Options of the decoder's session."""
    return (
        SessionProviders(cuda_options(precision, DECODER_LIMIT))
        if short_name(provider) == "cuda"
        else SessionProviders()
    )


def decoder_provider(provider: str) -> str:
    """The provider of the decoder beside an encoder on `provider`.

    An engine gains a decoder nothing: its steps are so short that starting one takes longer. CUDA is part of the same build.
    """
    return with_device("cuda", device_name(provider)) if short_name(provider) == "tensorrt" else provider


def _tensorrt(precision: Precision, bins: int, cache: Path | None) -> dict[str, str]:
    options = {
        "trt_max_workspace_size": str(WORKSPACE),
        # fp32 is chosen to get the CPU's results. A graph in fp16 says itself where it computes in fp32.
        "trt_fp16_enable": str(int(precision is Precision.FP16)),
        # Engines of one session are run one after the other.
        "trt_context_memory_sharing_enable": "1",
        **{f"trt_profile_{name}_shapes": shapes for name, shapes in _profile(bins).items()},
    }
    if cache is not None:
        # Building an engine takes minutes.
        options["trt_engine_cache_enable"] = options["trt_timing_cache_enable"] = "1"
        options["trt_engine_cache_path"] = options["trt_timing_cache_path"] = str(cache / "tensorrt")
    return options


def _tensorrt_rtx(bins: int, cache: Path | None) -> dict[str, str]:
    # Its precision is that of the graph.
    options = {
        "nv_max_workspace_size": str(WORKSPACE),
        **{f"nv_profile_{name}_shapes": shapes for name, shapes in _profile(bins).items()},
    }
    if cache is not None:
        options["nv_runtime_cache_path"] = str(cache / "tensorrt-rtx")
    return options


def _profile(bins: int) -> dict[str, str]:
    """Shapes of the encoder's inputs: the shortest, usual and longest padded audio. Another length would need a new engine."""
    lengths_s = {"min": padding.SECONDS[0], "opt": USUAL_S, "max": LONGEST_S}
    # One column more than the length says, as the recognizer feeds it.
    columns = {name: padding.padded(seconds * padding.HOPS_A_SECOND) + 1 for name, seconds in lengths_s.items()}
    return {name: f"audio_signal:1x{bins}x{width},length:1" for name, width in columns.items()}
