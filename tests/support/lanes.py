"""Assigns tests to lanes, limits their time, and records the run. A pytest plugin: see contrib/docs/contributing.md."""

import faulthandler
import json
import os
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.support.desktop.windows import lacking

IN_CI = ("heavy", "system", "pipewire", "programs")
"""Markers of tests that the plain lane leaves to the CI lane. A test counts under the first that it has."""
LONGEST_PLAIN_S = 20.0
"""Maximum seconds of a test in the plain lane on an idle machine."""
LIMIT_IN_CI_S = 900
"""Time limit of these tests instead of `timeout` in pyproject.toml; some share a long set-up, which counts for the
first."""
GRACE_S = 60.0
"""Seconds after its time limit at which a test that blocks in native code ends its process."""
STANDARD_ERROR = pytest.StashKey[int]()
"""A descriptor that pytest does not capture."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lanes")
    group.addoption("--lane", choices=("plain", "ci", "all"), default="all", help="run only the tests of this lane")
    group.addoption("--record", type=Path, help="write to this file what ran, failed and was left out, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STANDARD_ERROR] = os.dup(2)
    config.pluginmanager.register(_Record(config), "coldvoxd-record")


@pytest.hookimpl(trylast=True)  # after the folders' hooks, which set markers
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lane = config.getoption("lane")
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        marker = lane_marker(item)
        if marker and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT_IN_CI_S))
        if reason := missing_programs(item):
            item.add_marker(pytest.mark.skip(reason=reason))
        (kept if lane in ("all", "ci" if marker else "plain") else others).append(item)
    if others:
        items[:] = longest_first(kept) if lane == "ci" else kept
        config.hook.pytest_deselected(items=others)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    limit_s = time_limit_s(item)
    if limit_s:
        wait_s = limit_s + min(GRACE_S, limit_s)
        faulthandler.dump_traceback_later(wait_s, exit=True, file=item.config.stash[STANDARD_ERROR])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Sort by file, so that no long one is last: those whose tests may take longest, then those with the most tests.

    pytest-xdist starts them in this order only with --no-loadscope-reorder. A worker takes its next file early, unless
    more than two tests of the current one are left; so a file with a very long test has two more after it.
    """
    limits, counts = defaultdict[Path, float](float), Counter(item.path for item in items)
    for item in items:
        limits[item.path] = max(limits[item.path], time_limit_s(item))
    return sorted(items, key=lambda item: (-limits[item.path], -counts[item.path]))


def time_limit_s(item: pytest.Item) -> float:
    """Return pytest-timeout's limit for a test, 0 for no limit."""
    marker = item.get_closest_marker("timeout")
    if marker is not None and marker.args:
        return float(marker.args[0])
    return float(item.config.getoption("timeout") or item.config.getini("timeout") or 0)


def lane_marker(item: pytest.Item) -> str:
    """Return the marker that assigns a test to the CI lane; empty for the plain lane."""
    return next((name for name in IN_CI if item.get_closest_marker(name)), "")


def missing_programs(item: pytest.Item) -> str:
    """Return why a test marked `programs(NAME...)` cannot run on this machine; empty if it can."""
    return lacking([name for marker in item.iter_markers("programs") for name in marker.args])


class _Record:
    """Record of the whole run in the reporting process; pytest-xdist's workers send it the tests left to CI."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._worker_output: dict[str, Any] | None = getattr(config, "workeroutput", None)
        self._passed = 0
        self._failed: list[str] = []
        self._reasons: Counter[str] = Counter()
        self._for_ci: dict[str, int] = {}
        self._slow: dict[str, float] = {}
        self._took_s: defaultdict[str, float] = defaultdict(float)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        if self._config.getoption("lane") == "plain":
            self._for_ci = dict(Counter(lane_marker(item) for item in items if lane_marker(item)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._took_s[report.nodeid] += report.duration
        if report.failed and report.nodeid not in self._failed:
            self._failed.append(report.nodeid)
        if report.skipped and isinstance(report.longrepr, tuple):
            self._reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
        if report.when == "call" and report.passed:
            self._passed += 1
        if report.when == "teardown" and self._took_s[report.nodeid] > LONGEST_PLAIN_S:
            self._slow[report.nodeid] = round(self._took_s[report.nodeid], 1)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:  # noqa: ARG002 - xdist calls it by these names
        self._for_ci = getattr(node, "workeroutput", {}).get("for_ci", self._for_ci)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if self._worker_output is not None:
            self._worker_output["for_ci"] = self._for_ci
            return
        file: Path | None = self._config.getoption("record")
        if file is None:
            return
        record = {
            "exit_status": int(exitstatus),
            "lane": self._config.getoption("lane"),
            "passed": self._passed,
            "failed": self._failed,
            "left_out": dict(self._reasons.most_common()),
            "for_ci": self._for_ci,
            "slow": self._slow,
        }
        file.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
