"""What is said of the result of a step: a failure only if dictation suffers from it."""

from typing import Any

import pytest

from coldvoxd.core.values import Precision
from coldvoxd.doctor.finding import Verdict
from coldvoxd.first_run.conducting import WHY_NOT_UNDERSTOOD, Status, StepResult
from coldvoxd.first_run.findings import finding_of
from coldvoxd.first_run.planning import Step, Task, Variant

CPU, GPU = Variant(Precision.FP32, is_main=True), Variant(Precision.FP16, "cuda")
SPEECH = {
    "golden_words": 7,
    "golden_errors": 0,
    "golden_is_fair": True,
    "golden_as_fp32": True,
    "recordings": 19,
    "words": 97,
    "errors": 2,
}


def said(step: Step, variant: Variant | None, figures: dict[str, Any], status: Status = Status.DONE) -> tuple[str, str]:
    finding = finding_of(StepResult(Task(step, variant), status, 1.0, figures))
    assert finding is not None
    assert finding.part == step
    return finding.verdict, finding.text


@pytest.mark.parametrize(
    ("variant", "changes", "verdict", "text"),
    [
        (CPU, {}, Verdict.OK, "golden clip: 0 errors in 7 words"),
        (CPU, {"errors": 90, "golden_errors": 7, "golden_is_fair": False}, Verdict.FAIL, "do not understand speech"),
        (
            CPU,
            {"golden_errors": 5, "golden_is_fair": False},
            Verdict.FAIL,
            "the golden clip's text is wrong (5 errors in 7 words)",
        ),
        (GPU, {"golden_as_fp32": True}, Verdict.OK, "golden clip: 0 errors"),
        (GPU, {"golden_as_fp32": False}, Verdict.WARN, "other words than on the CPU"),
        (
            GPU,
            {"golden_as_fp32": False, "errors": 97, "golden_is_fair": False},
            Verdict.WARN,
            "other words than on the CPU",
        ),
    ],
)
def test_words(variant: Variant, changes: dict[str, Any], verdict: Verdict, text: str) -> None:
    found = said(Step.SPEECH, variant, {**SPEECH, **changes})
    assert found[0] == verdict
    assert found[1].startswith(f"{variant.name}: ")
    assert text in found[1]


def test_a_provider_that_fails_is_no_failure_of_dictation() -> None:
    for variant, verdict in ((CPU, Verdict.FAIL), (GPU, Verdict.WARN)):
        finding = finding_of(StepResult(Task(Step.LOAD, variant), Status.FAILED, message="out of memory"))
        assert finding is not None
        assert (finding.verdict, finding.text) == (verdict, f"{variant.name}: out of memory")


def test_what_was_left_out_is_named_but_not_for_each_step_that_needs_words() -> None:
    finding = finding_of(StepResult(Task(Step.PAUSES, CPU), Status.LEFT_OUT, message="no time was left"))
    assert finding is not None
    assert (finding.verdict, finding.text) == (Verdict.WARN, "fp32 on cpu: left out: no time was left")
    assert finding_of(StepResult(Task(Step.PAUSES, CPU), Status.LEFT_OUT, message=WHY_NOT_UNDERSTOOD)) is None


def test_long_utterances_that_lose_words() -> None:
    rows = [{"seconds": 10.0, "words": 50, "lost": 0, "holes": 0, "holes_filled": 0}]
    assert said(Step.LENGTHS, CPU, {"rows": rows})[0] == Verdict.OK
    rows.append({"seconds": 20.0, "words": 100, "lost": 40, "holes": 3, "holes_filled": 1})
    verdict, text = said(Step.LENGTHS, CPU, {"rows": rows})
    assert verdict == Verdict.WARN
    assert "40 of 100 at 20 s; 3 holes, 1 filled" in text


def test_dither_that_costs_words() -> None:
    def silence(now: int) -> dict[str, Any]:
        levels = [{"level_db": None, "errors": 9}, {"level_db": -80, "errors": 1}, {"level_db": -66, "errors": now}]
        return {"now_db": -66, "exact_silence": levels}

    assert said(Step.SILENCE, CPU, silence(2))[0] == Verdict.OK
    assert said(Step.SILENCE, CPU, silence(8))[0] == Verdict.WARN


def test_partials_that_change_a_text_are_a_failure() -> None:
    figures = {"runs": 40, "time_share": 0.3, "stop_p95_s": 0.01, "utterances": 12, "final_same": 12}
    assert said(Step.PARTIALS, CPU, figures)[0] == Verdict.OK
    assert said(Step.PARTIALS, CPU, {**figures, "final_same": 11})[0] == Verdict.FAIL


def test_tokens_that_differ_from_onnx_asr_s() -> None:
    figures = {"engine": "onnx-asr 0.12.0", "recordings": 19, "other_tokens": 0, "other_frames": 1}
    assert said(Step.PEER, CPU, figures) == (
        Verdict.OK,
        "fp32 on cpu: onnx-asr 0.12.0: 19 of 19 recordings have the same tokens, 1 of them at other frames",
    )
    assert said(Step.PEER, CPU, {**figures, "other_tokens": 2})[0] == Verdict.WARN


def test_what_the_time_did_not_suffice_for_is_said() -> None:
    rows = [{"seconds": 10.0, "words": 50, "lost": 0, "holes": 0, "holes_filled": 0}]
    finding = finding_of(StepResult(Task(Step.LENGTHS, CPU), Status.PART, 1.0, {"rows": rows}, "3 of 18"))
    assert finding is not None
    assert finding.text.endswith("(3 of 18 in the time)")
