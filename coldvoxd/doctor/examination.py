"""Runs every check in its own process, all concurrently, each with a time limit.

A check may hang in native code (a frozen sound server, a dead driver) or crash its process; the others are not
affected.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from coldvoxd.core.text_formats import json_value
from coldvoxd.doctor.finding import Doing, Finding, Verdict, fail
from coldvoxd.doctor.software import INSTALL_AGAIN

KILL_LIMIT_S = 2.0
"""Seconds for a killed check to exit. A process in uninterruptible sleep does not exit, and is abandoned."""
AT_ONCE = 4


class Check(NamedTuple):
    part: str
    """The part in the finding if the check itself fails."""
    module: str
    function: str
    limit_s: float


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "software": Check("python", "coldvoxd.doctor.software", "check", 30),
        "engine": Check("engine", "coldvoxd.doctor.engine", "check", 60),
        "gpu": Check("gpu", "coldvoxd.doctor.gpu", "check", 30),
        "accelerators": Check("accelerator", "coldvoxd.doctor.accelerators", "check", 60),
        "microphone": Check("microphone", "coldvoxd.doctor.microphone", "check", 20),
        "bus": Check("bus", "coldvoxd.doctor.desktop", "check", 30),
        "typing": Check("typing", "coldvoxd.doctor.typing", "check", 10),
        "unit": Check("unit", "coldvoxd.doctor.unit", "check", 20),
        "storage": Check("settings", "coldvoxd.doctor.storage", "check", 30),
    }
)
"""In display order."""


def examine(names: Iterable[str] = CHECKS, limit_s: float | None = None) -> Iterator[Finding]:
    """The findings of these checks, in their order. Blocks for seconds; `limit_s` replaces the limit of every check."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(lambda name: _in_a_process(name, limit_s or CHECKS[name].limit_s), names):
            yield from findings


def _in_a_process(name: str, limit_s: float) -> list[Finding]:
    """The findings of one check, and how it ended if it failed."""
    package_root = str(Path(__file__).parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "coldvoxd.doctor", name],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    late = False
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        late = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            out, err = process.communicate(timeout=KILL_LIMIT_S)
        except subprocess.TimeoutExpired as stuck:
            out, err = _text(stuck.output), _text(stuck.stderr)
    findings, doing = _read(out)
    if late:
        part, what = (doing.part, doing.text) if doing else (CHECKS[name].part, "looking")
        remedy = doing.remedy if doing else _REPORT
        findings.append(fail(part, f"no response within {limit_s:g} s while {what}", remedy))
    elif process.returncode:
        last = (err.strip().splitlines() or ["it printed nothing"])[-1]
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        part = doing.part if doing else CHECKS[name].part
        if last.startswith(("ImportError", "ModuleNotFoundError")):
            how, remedy = "a library that cannot be loaded", INSTALL_AGAIN
        else:
            remedy = doing.remedy if doing else _REPORT
        findings.append(fail(part, f"this check ended with {how}: {last}", remedy))
    return findings


_REPORT = "please report it, with `coldvoxctl doctor --report FILE`"


def _read(lines: str) -> tuple[list[Finding], Doing | None]:
    """The findings, and the last activity that the check announced."""
    findings: list[Finding] = []
    doing: Doing | None = None
    for line in lines.splitlines():
        try:
            fields = json_value(line)
            kind = fields.pop("kind")
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # some libraries print on stdout
        if kind == Doing.__name__:
            doing = Doing(**fields)
        else:
            findings.append(Finding(**fields | {"verdict": Verdict(fields["verdict"])}))
    return findings, doing


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
