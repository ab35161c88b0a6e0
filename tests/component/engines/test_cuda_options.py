"""Options for the CUDA provider, and when fp32 is not started on a GPU. Only values are tested: no GPU is needed."""

import pytest

from coldvoxd.core.failover_state import FaultClass, Reason
from coldvoxd.core.provider_errors import classify
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.cuda_options import DECODER_LIMIT, FREE_FOR_FP32, GIB, cuda_options, room_wanted


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_encoder_and_decoder_together_take_less_than_2_gb(precision: Precision) -> None:
    encoder, decoder = cuda_options(precision), cuda_options(precision, DECODER_LIMIT)
    assert int(encoder["gpu_mem_limit"]) + int(decoder["gpu_mem_limit"]) < 2_000_000_000
    assert encoder["arena_extend_strategy"] == decoder["arena_extend_strategy"] == "kSameAsRequested"


def test_fp32_takes_a_bounded_share_too() -> None:
    assert cuda_options(Precision.FP32)["gpu_mem_limit"] == str(4 * GIB)


@pytest.mark.parametrize("precision", list(Precision))
def test_what_changes_answers_and_times_is_set_and_not_left_to_defaults(precision: Precision) -> None:
    options = cuda_options(precision)
    assert (options["use_tf32"], options["cudnn_conv_algo_search"]) == ("0", "EXHAUSTIVE")
    assert all(isinstance(value, str) for value in options.values()), "ONNX Runtime accepts only strings"


def test_fp32_is_begun_with_five_gib_free_alone() -> None:
    assert room_wanted(Precision.FP32, FREE_FOR_FP32) == ""
    reason = room_wanted(Precision.FP32, FREE_FOR_FP32 - 1)
    assert "5 GiB" in reason
    assert classify(reason) == (FaultClass.TRANSIENT, Reason.GPU_OUT_OF_MEMORY), "so it is reported and retried"


def test_the_others_are_begun_with_what_there_is_and_so_is_fp32_where_nobody_can_tell() -> None:
    assert room_wanted(Precision.FP16, 1) == room_wanted(Precision.INT8, 1) == ""
    assert room_wanted(Precision.FP32, None) == ""
