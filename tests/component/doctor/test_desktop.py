"""The doctor's findings on a running daemon, from its properties."""

import pytest

from coldvoxd import __version__
from coldvoxd.doctor.desktop import daemon_findings
from coldvoxd.doctor.finding import Verdict

RUNNING = {
    "Version": __version__,
    "State": "idle",
    "Model": "mini",
    "Precision": "fp32",
    "ExecutionProvider": "CPUExecutionProvider",
    "Degraded": "",
    "LastError": "",
}


def test_a_daemon_of_the_installed_version_is_well() -> None:
    [finding] = daemon_findings(7, RUNNING)
    assert finding.verdict is Verdict.OK
    assert finding.text == "pid 7, idle, mini (fp32) on CPUExecutionProvider"


@pytest.mark.parametrize("version", ["0.0.9", "99.0.0"])
def test_a_daemon_of_another_version_is_reported_with_its_remedy(version: str) -> None:
    finding, state = daemon_findings(7, RUNNING | {"Version": version})
    assert finding.verdict is Verdict.WARN
    assert version in finding.text
    assert f"{__version__} is installed" in finding.text
    assert "restart coldvoxd" in finding.remedy
    assert state.verdict is Verdict.OK
