"""The output of `systemctl show` as text."""

import pytest

from coldvoxd.doctor.finding import Verdict
from coldvoxd.doctor.unit import fetching_findings, findings

WELL = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "NRestarts": "0",
    "NeedDaemonReload": "no",
    "ExecStart": "{ path=/bin/sh ; argv[]=/bin/sh ; ignore_errors=no ; }",
}


@pytest.mark.parametrize(
    ("changed", "verdict", "said"),
    [
        ({}, Verdict.OK, "active, without restarts"),
        ({"ActiveState": "inactive"}, Verdict.OK, "start it: systemctl --user start"),
        ({"NRestarts": "3"}, Verdict.WARN, "restarted 3 times"),
        ({"UnitFileState": "disabled"}, Verdict.WARN, "is not started at login"),
        ({"NeedDaemonReload": "yes"}, Verdict.WARN, "changed"),
        ({"LoadState": "not-found"}, Verdict.FAIL, "not-found"),
        ({"ActiveState": "failed", "Result": "exit-code"}, Verdict.FAIL, "exit-code"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, Verdict.FAIL, "restarted repeatedly"),
        ({"ExecStart": "{ path=/no/such/coldvoxd ; argv[]=x ; }"}, Verdict.FAIL, "/no/such/coldvoxd"),
    ],
)
def test_the_unit_in_words(changed: dict[str, str], verdict: Verdict, said: str) -> None:
    all_of_it = list(findings(WELL | changed))
    worst = max(all_of_it, key=lambda finding: list(Verdict).index(finding.verdict))
    assert worst.verdict is verdict
    assert any(said in finding.text and finding.verdict is verdict for finding in all_of_it)
    assert all(finding.remedy for finding in all_of_it if finding.verdict is Verdict.FAIL)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"ActiveState": "inactive"}, None),
        ({"ActiveState": "activating"}, Verdict.OK),
        ({"ActiveState": "failed", "Result": "exit-code"}, Verdict.WARN),
        ({"LoadState": "not-found"}, Verdict.WARN),
    ],
)
def test_the_unit_that_fetches_is_told_where_it_matters(changed: dict[str, str], verdict: Verdict | None) -> None:
    assert [finding.verdict for finding in fetching_findings(WELL | changed)] == ([verdict] if verdict else [])
