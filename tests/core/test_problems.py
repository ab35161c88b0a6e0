"""The problem codes: their order, and that the bus contract documents exactly these."""

import re
from pathlib import Path

from coldvoxd.core.failover_state import Reason
from coldvoxd.core.problems import Problem, by_severity
from coldvoxd.core.values import EngineStatus

CODE = re.compile(r"`([a-z]+(?:-[a-z]+)*)` \(")
"""A code followed by its meaning in parentheses."""


def test_codes_are_ordered_by_severity_and_each_is_listed_once() -> None:
    shuffled = [Problem.SLEEP, Problem.MICROPHONE_MUTED, Problem.MODEL_MISSING, Problem.MICROPHONE_MUTED]
    assert by_severity(shuffled) == (Problem.MODEL_MISSING, Problem.MICROPHONE_MUTED, Problem.SLEEP)
    assert by_severity(reversed(Problem)) == tuple(Problem)


def test_the_contract_documents_every_code_in_the_published_order() -> None:
    xml = (Path(__file__).parents[2] / "dbus/org.coldvox.Daemon1.xml").read_text("utf-8")
    prose = xml.split("      Problems:\n")[1].split("-->")[0]
    assert CODE.findall(prose) == [problem.value for problem in Problem]


def test_every_reason_of_failover_is_a_problem_code() -> None:
    for reason in Reason:
        status = EngineStatus(degraded=reason.value)
        assert status.problems == ((Problem(reason.value),) if reason else ())
    both = EngineStatus(degraded="gpu-overheating", covered="gpu-fault")
    assert by_severity(both.problems) == (Problem.GPU_FAULT, Problem.GPU_OVERHEATING)


def test_usable_providers_are_listed_best_first() -> None:
    status = EngineStatus(available_providers=("tensorrt", "cuda", "cpu"))
    status = status.found("cpu", usable=True).found("cuda", usable=True).found("cpu", usable=True)
    assert status.usable_providers == ("cuda", "cpu")
    assert status.found("cuda", usable=False).usable_providers == ("cpu",)
    assert status.found("virtual", usable=True).usable_providers == ("virtual", "cuda", "cpu")
