"""Replacing the process: when, and with which state. tests/system covers the whole procedure."""

import asyncio
import json
import math
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coldvoxd.core.settings import ReplacementSettings
from coldvoxd.host.exec_state import ExecState
from coldvoxd.host.reexec import STUCK_S, VARIABLE, Reexec, handed_over, uninterruptible
from tests.support.eventually import eventually, eventually_blocking
from tests.support.login.user_manager import ROOT


@dataclass
class Circumstances:
    """Conditions that permit a replacement at time 1000."""

    wanted: bool = True
    busy_until_s: float = 900.0
    past: ExecState = field(default_factory=ExecState)
    tasks: Path = Path("/proc/self/task")
    told: list[str] = field(default_factory=list)
    slept: bool = False
    hanging_s: float = 0.0

    def replacement(self) -> Reexec:
        return Reexec(
            ReplacementSettings(quiet_s=30, cool_down_s=600),
            self.past,
            wanted=lambda: self.wanted,
            busy_until_s=lambda: self.busy_until_s,
            report=self.told.append,
            slept=lambda: self.slept,
            hanging_s=lambda _: self.hanging_s,
            tasks=self.tasks,
        )


def task(tasks: Path, number: int, state: str, name: str = "cuda (D) 1") -> None:
    directory = tasks / str(number)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "stat").write_text(f"{number} ({name}) {state} 1 1 1 0 -1\n")


def test_the_moment_is_silence_with_a_fault_that_only_a_new_process_mends() -> None:
    assert Circumstances().replacement().possible(1000.0)


@pytest.mark.parametrize(
    "but",
    [
        Circumstances(wanted=False),
        Circumstances(busy_until_s=math.inf),
        Circumstances(busy_until_s=971.0),
        Circumstances(past=ExecState(1, 500.0)),
        Circumstances(past=ExecState(2, -700.0)),
    ],
)
def test_it_is_not_the_moment(but: Circumstances) -> None:
    assert not but.replacement().possible(1000.0)


def test_a_device_call_that_hangs_is_a_reason_of_its_own_and_a_fault() -> None:
    assert not Circumstances(wanted=False, hanging_s=59.0).replacement().possible(1000.0)
    assert Circumstances(wanted=False, hanging_s=60.0).replacement().possible(1000.0)
    after_another = Circumstances(past=ExecState(1, 500.0), slept=True, hanging_s=60.0).replacement()
    assert not after_another.possible(1000.0)
    assert not after_another.is_for_rest(1000.0)


def test_after_a_sleep_no_earlier_replacement_is_waited_for() -> None:
    assert Circumstances(past=ExecState(3, 999.0), slept=True).replacement().possible(1000.0)
    assert not Circumstances(busy_until_s=971.0, slept=True).replacement().possible(1000.0)


def test_a_thread_that_cannot_be_ended_forbids_it_and_is_told_once(tmp_path: Path) -> None:
    task(tmp_path, 7, "D")
    task(tmp_path, 8, "S")
    circumstances = Circumstances(tasks=tmp_path)
    replacement = circumstances.replacement()
    for passed_s in (0, STUCK_S / 2, STUCK_S, 2 * STUCK_S):
        assert not replacement.possible(1000.0 + passed_s)
    (told,) = circumstances.told
    assert "Restart the machine" in told
    task(tmp_path, 7, "S")
    assert replacement.possible(2000.0)


def test_a_short_uninterruptible_sleep_is_not_told(tmp_path: Path) -> None:
    task(tmp_path, 7, "D")
    circumstances = Circumstances(tasks=tmp_path)
    replacement = circumstances.replacement()
    assert not replacement.possible(1000.0)
    task(tmp_path, 7, "S")
    assert replacement.possible(1001.0)
    task(tmp_path, 7, "D")
    assert not replacement.possible(1002.0 + STUCK_S)
    assert circumstances.told == []


def test_uninterruptible_sleep_is_seen_in_a_real_process() -> None:
    """The parent of a vfork(2) is in this state until its child has exited."""
    program = "import ctypes, time\nif ctypes.CDLL(None).vfork() == 0:\n    time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as process:
        try:
            (found,) = eventually_blocking(lambda: uninterruptible(Path(f"/proc/{process.pid}/task")), what="state D")
            assert f"thread {process.pid} (" in found
        finally:
            os.killpg(process.pid, 9)


async def test_the_moment_is_waited_for() -> None:
    circumstances = Circumstances(wanted=False, busy_until_s=-math.inf)
    replacement = Reexec(
        ReplacementSettings(quiet_s=0.1),
        circumstances.past,
        wanted=lambda: circumstances.wanted,
        busy_until_s=lambda: circumstances.busy_until_s,
        report=circumstances.told.append,
    )
    waiting = asyncio.create_task(replacement.moment())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    circumstances.wanted = True
    await eventually(waiting.done)


def test_nothing_is_handed_over_where_nobody_was_before() -> None:
    assert handed_over({}) is None


@pytest.mark.parametrize("given", ["", "x", "-1", "987654"])
def test_a_descriptor_that_is_none_is_nothing(given: str) -> None:
    environment = {VARIABLE: given}
    assert handed_over(environment) is None
    assert environment == {}, "child processes do not inherit it"


def test_a_file_that_anybody_can_change_is_not_believed(tmp_path: Path) -> None:
    file = os.open(tmp_path / "x", os.O_CREAT | os.O_RDWR)
    os.write(file, ExecState().encoded())
    assert handed_over({VARIABLE: str(file)}) is None
    os.close(file)


GENERATIONS = textwrap.dedent("""
    import json, os, sys
    from coldvoxd.host.exec_state import ExecState
    from coldvoxd.host.reexec import VARIABLE, handed_over, replace_process
    past = handed_over()
    os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)  # as native libraries do
    print(json.dumps({
        "pid": os.getpid(), "past": past and past.replacements, "carried": past and past.carried, "argv": sys.argv[1:],
        "files": len(os.listdir("/proc/self/fd")), "variable": VARIABLE in os.environ, "kept": os.environ["KEPT"],
    }), flush=True)
    if past is None or past.replacements < 3:
        replace_process((past or ExecState()).next(1.0, 2.0, {"text": "ü" * 100_000}))
""")


def test_a_process_that_replaces_itself_keeps_its_number_arguments_and_what_it_hands_over() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GENERATIONS, "--one", "two words"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "KEPT": "yes", "PYTHONPATH": str(ROOT)},
    )
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert [life["past"] for life in lives] == [None, 1, 2, 3]
    assert all(life["carried"] == {"text": "ü" * 100_000} for life in lives[1:])
    same = {(life["pid"], tuple(life["argv"]), life["files"], life["variable"], life["kept"]) for life in lives}
    assert len(same) == 1, "no descriptor accumulates"
    assert lives[0]["argv"] == ["--one", "two words"]
