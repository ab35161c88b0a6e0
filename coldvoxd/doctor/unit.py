"""Checks the systemd user unit."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn

UNIT = "coldvoxd.service"
FETCHING = "coldvoxd-model.service"
SHOWN = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "NeedDaemonReload",
    "ExecStart",
)
JOURNAL = "journalctl --user -u coldvoxd -b"
INSTALL = "install it: coldvoxctl setup"


def check() -> Iterator[Finding | Doing]:
    """Check the state of the daemon's unit and of the download unit in systemd --user."""
    if shutil.which("systemctl") is None:
        yield warn("unit", "there is no systemctl: coldvoxd must be started by hand")
        return
    yield Doing("unit", "asking systemd --user", "log out and in again: the user's service manager hangs")
    unit = _show(UNIT)
    if isinstance(unit, str):
        told = f"systemd --user cannot be reached: {unit}"
        yield fail("unit", told, "log in to a session of systemd; over ssh or su: loginctl enable-linger $USER")
        return
    yield from findings(unit)
    fetching = _show(FETCHING)
    if not isinstance(fetching, str):
        yield from fetching_findings(fetching)


def _show(unit: str) -> dict[str, str] | str:
    """The properties of a unit, or why systemd cannot be reached."""
    shown = subprocess.run(
        ["systemctl", "--user", "show", unit, f"--property={','.join(SHOWN)}"],  # noqa: S607 - the one in PATH
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        return shown.stderr.strip() or f"exit code {shown.returncode}"
    return dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)


def fetching_findings(unit: Mapping[str, str]) -> Iterator[Finding]:
    """Findings on coldvoxd-model.service, if it is running or has failed."""
    journal = "journalctl --user -u coldvoxd-model -b"
    if unit["LoadState"] != "loaded":
        yield warn(
            "fetching", f"{FETCHING} is {unit['LoadState']}: a missing model is not downloaded automatically", INSTALL
        )
    elif unit["ActiveState"] == "activating":
        yield ok("fetching", "the model is being downloaded; `coldvoxctl status` shows the progress")
    elif unit["ActiveState"] == "failed":
        yield warn("fetching", f"the model could not be downloaded ({unit['Result']})", f"see why: {journal}")


def findings(unit: Mapping[str, str]) -> Iterator[Finding]:
    """Findings from a unit's properties as printed by `systemctl show`."""
    if unit["LoadState"] != "loaded":
        yield fail("unit", f"{UNIT} is {unit['LoadState']}", INSTALL)
        return
    program = re.search(r"path=(\S.*?) ;", unit.get("ExecStart", ""))
    if program and not Path(program[1]).exists():
        yield fail("unit", f"{UNIT} starts {program[1]}, which does not exist", INSTALL)
    if unit.get("NeedDaemonReload") == "yes":
        yield warn("unit", f"{UNIT} has changed since it was loaded", "systemctl --user daemon-reload")
    if unit["UnitFileState"] in {"enabled", "static", "linked", "generated"}:
        yield ok("unit", f"{UNIT} is installed and {unit['UnitFileState']}")
    else:
        told = f"{UNIT} is installed, but {unit['UnitFileState'] or 'not enabled'}: it is not started at login"
        yield warn("unit", told, "systemctl --user enable coldvoxd")
    yield _activity(unit)


def _activity(unit: Mapping[str, str]) -> Finding:
    state, restarts = unit["ActiveState"], int(unit.get("NRestarts") or 0)
    if state == "failed":
        told = f"it failed ({unit['Result']}, {restarts} restarts)"
        return fail("unit", told, f"see why: {JOURNAL}; then: systemctl --user restart coldvoxd")
    if state == "activating" and unit["SubState"] == "auto-restart":
        return fail("unit", f"it exits and is restarted repeatedly ({restarts} restarts)", f"see why: {JOURNAL}")
    if state != "active":
        return ok("unit", f"it is {state}; start it: systemctl --user start coldvoxd")
    if restarts:
        return warn("unit", f"it is active, and was restarted {restarts} times", f"see why: {JOURNAL}")
    return ok("unit", "it is active, without restarts")
