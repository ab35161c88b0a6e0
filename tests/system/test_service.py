"""The service under systemd: it restarts after a crash, survives its sound server, and stops on request."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Login, fault_s, samples

OPEN, CLOSE, HELLO = samples()[:3]


def assert_dictation_works(login: Login) -> None:
    login.wait_for_state("idle")
    login.answer("StartDictation")
    login.speak(OPEN)
    assert OPEN.is_in(login.answer("StopDictation"))


EXITED = "1"
"""CLD_EXITED of waitid(2)."""


def assert_stopped(login: Login) -> None:
    """Check that it stopped within TimeoutStopSec=5: systemd reports `timeout` if it had to use SIGKILL."""
    assert login.show(UNIT, "ActiveState") == "inactive", login.journal(UNIT)
    assert login.show(UNIT, "Result") == "success", login.journal(UNIT)


def assert_stopped_cleanly(login: Login) -> None:
    """Check that it also exited by itself, with everything that belongs to it."""
    assert_stopped(login)
    assert (login.show(UNIT, "ExecMainCode"), login.show(UNIT, "ExecMainStatus")) == (EXITED, "0"), login.journal(UNIT)


def test_starting_ends_with_ready_and_a_status_line(dictation: Login) -> None:
    assert dictation.show(UNIT, "ActiveState") == "active"
    status = dictation.show(UNIT, "StatusText")
    assert "idle" in status
    assert "mini" in status
    assert dictation.main_pid


def test_a_killed_daemon_comes_back_and_works(dictation: Login) -> None:
    before = dictation.restarts
    session = dictation.answer("StartDictation")
    dictation.systemctl("kill", "--signal=KILL", UNIT)
    eventually_blocking(lambda: dictation.restarts > before, what="a restart")
    dictation.wait_for_state("idle")
    assert dictation.answer("StartDictation") > session, "numbers never restart within a login"
    dictation.answer("StopDictation")
    assert_dictation_works(dictation)


def test_a_daemon_that_stands_still_is_restarted_by_the_watchdog(dictation: Login) -> None:
    before = dictation.restarts
    dictation.systemctl("kill", "--signal=STOP", "--kill-whom=main", UNIT)
    eventually_blocking(lambda: dictation.restarts > before, patience_s=60, what="a restart by the watchdog")
    assert "Watchdog timeout" in dictation.journal(UNIT)
    assert_dictation_works(dictation)


def test_a_reload_takes_the_model_again_and_stays_the_same_process(dictation: Login) -> None:
    process = dictation.main_pid
    loads = dictation.journal(UNIT).count(" loaded, provider ")
    dictation.systemctl("reload", UNIT)
    eventually_blocking(lambda: dictation.journal(UNIT).count(" loaded, provider ") > loads, what="the model again")
    assert_dictation_works(dictation)
    assert dictation.main_pid == process


def test_a_second_daemon_says_who_has_the_name_and_leaves_the_first_alone(dictation: Login) -> None:
    first = dictation.main_pid
    second = dictation.run(dictation.home / ".local/bin/coldvoxd", check=False)
    assert second.returncode == 69, second.stderr
    assert str(first) in second.stderr
    assert dictation.main_pid == first
    assert_dictation_works(dictation)


def _idle(_: Login) -> None:
    pass


def _listening(login: Login) -> None:
    login.answer("StartDictation")


def _transcribing(login: Login) -> None:
    login.answer("StartDictation")
    login.speak(HELLO)
    login.run("sh", "-c", f"busctl --user call {' '.join(STOP)} >/dev/null 2>&1 &")


STOP = ("org.coldvox.Daemon1", "/org/coldvox/Daemon1", "org.coldvox.Dictation1", "StopDictation")


@pytest.mark.parametrize("bring_to", [_idle, _listening, _transcribing])
def test_it_stops_cleanly_whatever_it_is_doing(dictation: Login, bring_to: Callable[[Login], None]) -> None:
    bring_to(dictation)
    dictation.systemctl("stop", UNIT)
    assert_stopped_cleanly(dictation)


def test_it_stops_cleanly_in_the_middle_of_a_sentence(dictation: Login) -> None:
    with dictation.listening() as listener, dictation.speaking(HELLO):
        dictation.answer("StartDictation")
        listener.wait_for("speech-started")
        dictation.systemctl("stop", UNIT)
        assert_stopped_cleanly(dictation)
        assert listener.wait_for("stopped")["reason"] == "shutdown"


def test_it_stops_cleanly_while_it_is_starting(dictation: Login) -> None:
    dictation.systemctl("stop", UNIT)
    for delay_s in (0.0, 0.3, 0.8, 1.5):
        dictation.systemctl("start", "--no-block", UNIT)
        time.sleep(delay_s)  # a point during the start, not a wait for an event
        dictation.systemctl("stop", UNIT)
        assert_stopped(dictation)  # SIGTERM may simply end it before there is anything to clean up


@contextmanager
def no_sound_server(login: Login) -> Iterator[None]:
    login.systemctl("stop", "pulseaudio.service")
    try:
        yield
    finally:
        login.systemctl("start", "pulseaudio.service")
        login.wait_for_sound()


@contextmanager
def frozen_sound_server(login: Login) -> Iterator[None]:
    login.systemctl("kill", "--signal=STOP", "pulseaudio.service")
    try:
        yield
    finally:
        login.systemctl("kill", "--signal=CONT", "pulseaudio.service")
        login.wait_for_sound()


def test_it_stops_cleanly_without_a_sound_server(dictation: Login) -> None:
    with no_sound_server(dictation):
        dictation.wait_for_state("unavailable")
        dictation.systemctl("stop", UNIT)
        assert_stopped_cleanly(dictation)


def test_it_stops_cleanly_with_a_sound_server_that_hangs(dictation: Login) -> None:
    """Closing the stream hangs in native code until the server continues: nothing waits for it."""
    with frozen_sound_server(dictation):
        dictation.wait_for_state("unavailable")
        dictation.systemctl("stop", UNIT)
        assert_stopped_cleanly(dictation)


def test_a_long_time_without_any_microphone_is_no_reason_to_restart(dictation: Login) -> None:
    before, process = dictation.restarts, dictation.main_pid
    with no_sound_server(dictation):
        dictation.wait_for_state("unavailable")
        refused = dictation.call("StartDictation", check=False)
        assert refused.returncode != 0
        time.sleep(fault_s())  # the duration of the fault
        assert dictation.state() == "unavailable"
    assert_dictation_works(dictation)
    assert (dictation.restarts, dictation.main_pid) == (before, process)


def test_a_long_time_with_a_sound_server_that_hangs_is_no_reason_to_restart(dictation: Login) -> None:
    before, process = dictation.restarts, dictation.main_pid
    with frozen_sound_server(dictation):
        dictation.wait_for_state("unavailable")
        time.sleep(fault_s())  # the duration of the fault
        assert dictation.state() == "unavailable"
    assert_dictation_works(dictation)
    assert (dictation.restarts, dictation.main_pid) == (before, process)


def test_a_sound_server_that_dies_and_comes_back_is_found_again(dictation: Login) -> None:
    before, losses = dictation.restarts, dictation.journal(UNIT).count("microphone lost")
    dictation.systemctl("kill", "--signal=KILL", "pulseaudio.service")
    eventually_blocking(
        lambda: dictation.journal(UNIT).count("microphone lost") > losses, what="the loss of the microphone"
    )
    dictation.wait_for_sound()
    dictation.wait_for_state("idle")
    assert_dictation_works(dictation)
    assert dictation.restarts == before


@pytest.fixture
def gpu_node(place: Login) -> Iterator[str]:
    """A device in the place of NVIDIA's, only in this login's /dev."""
    path = "/dev/nvidia0"
    if place.run("test", "-e", path, check=False).returncode:
        place.make_device(path)
    yield path
    place.run("rm", "-f", place.home / f".config/systemd/user/{UNIT}.d/cpu.conf")
    place.systemctl("daemon-reload")
    place.systemctl("restart", UNIT)


def test_a_gpu_is_visible_inside_the_unit_and_hidden_by_the_drop_in_for_cpus(place: Login, gpu_node: str) -> None:
    place.systemctl("restart", UNIT)
    seen = place.run("stat", "--format=%F", f"/proc/{place.main_pid}/root{gpu_node}")
    assert "character special file" in seen.stdout
    place.run(place.install_script, "--cpu")
    place.systemctl("restart", UNIT)
    hidden = place.run("stat", f"/proc/{place.main_pid}/root{gpu_node}", check=False)
    assert hidden.returncode != 0
    assert "No such file" in hidden.stderr
    assert_dictation_works(place)
    told = place.run(place.ctl, "transcribe", OPEN.file).stdout
    assert OPEN.is_in(told), "reading a file needs no memory that is writable and executable"


def test_the_running_daemon_is_confined(dictation: Login) -> None:
    status = dictation.run("cat", f"/proc/{dictation.main_pid}/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    mounts = dictation.run("cat", f"/proc/{dictation.main_pid}/mountinfo").stdout
    root = next(line for line in mounts.splitlines() if line.split()[4] == "/")
    assert root.split()[5].startswith("ro")
