"""CUDA's options: how much GPU memory a session may take, and how it computes.

Every value has a reason; none has been measured on a GPU yet.
"""

from collections.abc import Mapping

from coldvoxd.core.values import Precision

MIB = 1 << 20
GIB = 1 << 30
LIMITS: Mapping[Precision, int] = {
    Precision.FP32: 4 * GIB,
    Precision.FP16: 1600 * MIB,
    Precision.INT8: 1600 * MIB,
}
"""Limit of the encoder's arena in bytes: weights of 2.4, 1.2 and 0.7 GB, and the memory for 20 s of audio."""
DECODER_LIMIT = 256 * MIB
"""Limit of the decoder's arena in bytes, in any precision: its weights have 36 MB at most. With the encoder's, fp16 and int8
stay under 2 GB."""
FREE_FOR_FP32 = 5 * GIB
"""Free GPU memory in bytes that fp32 needs: with less, beside a desktop and a game, it would soon fail."""


def cuda_options(precision: Precision, limit_bytes: int | None = None) -> dict[str, str]:
    """Options of ONNX Runtime's CUDA provider, for a session with weights of this precision.

    `limit_bytes` is that of its arena; by default the encoder's.
    """
    return {
        # Two sessions share a GPU with a desktop and with games: past this a run fails, and the CPU takes over.
        "gpu_mem_limit": str(LIMITS[precision] if limit_bytes is None else limit_bytes),
        # The other strategy doubles the arena whenever it grows, and would reach the limit with half of it unused.
        "arena_extend_strategy": "kSameAsRequested",
        # Heuristically chosen algorithms were up to three times slower. The exhaustive search is repeated for each new length,
        # which is why audio is padded to a few lengths, and each of them is warmed up before it is needed.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        # Algorithms that need gigabytes of workspace for a convolution over a sentence do not pay.
        "cudnn_conv_use_max_workspace": "0",
        # fp32 is chosen to get the CPU's results; TF32 would multiply with the mantissa of fp16.
        "use_tf32": "0",
    }


def room_wanted(precision: Precision, free_bytes: int | None) -> str:
    """Why a session of this precision is not opened with `free_bytes` of GPU memory, a sentence; empty where it is.

    None, where the free memory is unknown, counts as enough: the arena's limit applies anyway.
    """
    if precision is not Precision.FP32 or free_bytes is None or free_bytes >= FREE_FOR_FP32:
        return ""
    return (
        f"out of memory: fp32 takes {FREE_FOR_FP32 / GIB:.0f} GiB of the GPU, and {free_bytes / GIB:.1f} GiB are free. "
        "Close programs that use it, or build the fp16 form, which takes half: coldvoxctl model prepare --precision fp16"
    )
