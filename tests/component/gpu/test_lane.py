"""The GPU lane's own code, on the CPU: so that it works on the day on which it meets a card."""

from coldvoxd.core.values import Precision
from coldvoxd.models import find_model
from tests.support.gpu_lane import LENGTHS_S, examine, opening, report


def test_an_examination_and_its_report_on_the_cpu() -> None:
    found = examine("cpu", rounds=1)
    assert found.active == "CPUExecutionProvider"
    assert found.golden
    assert found.precisions["fp32"].startswith("the same in ")
    assert set(found.precisions) == {"fp32", "fp16", "int8"}
    assert (found.small_memory, found.hidden) == ("opened", "opened"), "neither concerns the CPU"
    assert [*found.latency_s] == [f"{length_s:g}" for length_s in LENGTHS_S]
    written = report(found)
    assert "every sample is heard as on the CPU | yes" in written
    assert written.count("- [ ] ") >= 5
    assert "/home/" not in written
    assert "/root" not in written


def test_a_provider_that_can_not_be_opened_is_told_with_its_class_and_code() -> None:
    encoder = find_model("mini", Precision.FP32).encoder
    assert opening(encoder, "no-such-provider").startswith("transient, gpu-fault: ")
