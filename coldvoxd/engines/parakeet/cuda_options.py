"""CUDA's options: how much of the card a session may take, and how it computes there.

Every value is deliberate; none has been measured on a GPU yet.
"""

from collections.abc import Mapping

from coldvoxd.core.values import Precision

GIB = 1 << 30
LIMITS: Mapping[Precision, int] = {Precision.FP32: 4 * GIB, Precision.FP16: 2 * GIB, Precision.INT8: 2 * GIB}
"""Bytes of the card that a session's arena may grow to: weights of 2.4, 1.2 and 0.7 GB, and what 20 s of audio take."""
FREE_FOR_FP32 = 5 * GIB
"""Beside a desktop and a game fp32 is the first to fail; so it isn't begun with less."""


def cuda_options(precision: Precision) -> dict[str, str]:
    """Options of ONNX Runtime's CUDA provider, for a session with weights of this precision."""
    return {
        # Two sessions share a card with a desktop and with games: past this a run fails, and the CPU answers.
        "gpu_mem_limit": str(LIMITS[precision]),
        # The other strategy doubles the arena each time that it grows, and would meet the limit with half of it unused.
        "arena_extend_strategy": "kSameAsRequested",
        # The heuristic answer was seen up to three times slower. The exhaustive one is found anew for each new length, which
        # is why audio is padded to a few lengths and each of them warmed before it is needed.
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        # Algorithms that want gigabytes of workspace for a convolution over a sentence are not worth them.
        "cudnn_conv_use_max_workspace": "0",
        # Whoever asks for fp32 wants the CPU's answer; TF32 would multiply with the mantissa of fp16.
        "use_tf32": "0",
    }


def room_wanted(precision: Precision, free_bytes: int | None) -> str:
    """Why a session of this precision isn't begun with so much of the card free, a sentence; empty where it is.

    None, where nobody can tell how much is free, is enough: the limit holds all the same.
    """
    if precision is not Precision.FP32 or free_bytes is None or free_bytes >= FREE_FOR_FP32:
        return ""
    return (
        f"out of memory: fp32 takes {FREE_FOR_FP32 / GIB:.0f} GiB of the GPU, and {free_bytes / GIB:.1f} GiB are free. "
        "Close programs that use it, or build the fp16 form, which takes half: coldvoxctl model prepare --precision fp16"
    )
