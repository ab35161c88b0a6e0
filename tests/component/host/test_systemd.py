"""sd_notify messages from a real process to a real datagram socket."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PRELUDE = "import os\nfrom coldvoxd.host.systemd import Notifier, watchdog_interval_s\nnotifier = Notifier()\n"


def run(program: str, **environment: str) -> str:
    """Return stdout and stderr of a Python program that has only these variables and PATH."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + program],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(10)
        yield listener


def test_each_message_reaches_the_manager_as_one_datagram(tmp_path: Path) -> None:
    with manager(str(tmp_path / "notify")) as listener:
        run(
            "notifier.status('microphone: default'); notifier.ready(); notifier.watchdog(); notifier.stopping()",
            NOTIFY_SOCKET=str(tmp_path / "notify"),
        )
        assert [listener.recv(4096) for _ in range(4)] == [
            b"STATUS=microphone: default",
            b"READY=1",
            b"WATCHDOG=1",
            b"STOPPING=1",
        ]


def test_a_status_is_utf8_and_one_line_whatever_the_microphone_is_called(tmp_path: Path) -> None:
    """Pins valid UTF-8 and one line: systemd drops other messages, and reads a second line as a variable."""
    with manager(str(tmp_path / "notify")) as listener:
        run(r"notifier.status('Mikrofon „Blau“ 🎙\nREADY=1')", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert listener.recv(4096).decode() == "STATUS=Mikrofon „Blau“ 🎙 READY=1"


def test_an_abstract_socket_is_understood() -> None:
    with manager("\0coldvoxd-test-notify") as listener:
        run("notifier.ready()", NOTIFY_SOCKET="@coldvoxd-test-notify")
        assert listener.recv(4096) == b"READY=1"


def test_without_a_manager_every_call_is_quiet() -> None:
    assert run("notifier.ready(); notifier.status('x'); notifier.watchdog(); notifier.close()") == ""


def test_a_manager_that_is_gone_is_a_warning_and_no_error(tmp_path: Path) -> None:
    said = run("notifier.ready()", NOTIFY_SOCKET=str(tmp_path / "absent"))
    assert "cannot reach the service manager" in said


def test_a_manager_that_does_not_read_never_blocks_the_daemon(tmp_path: Path) -> None:
    """The socket's queue fills after some hundred datagrams; a blocking send would then hang."""
    with manager(str(tmp_path / "notify")):
        said = run("for _ in range(5000): notifier.watchdog()", NOTIFY_SOCKET=str(tmp_path / "notify"))
    assert "did not accept WATCHDOG" in said


def test_the_watchdog_is_fed_twice_as_often_as_the_unit_asks() -> None:
    assert run("print(watchdog_interval_s())", WATCHDOG_USEC="20000000") == "10.0"


def test_no_watchdog_is_fed_where_none_is_asked_for() -> None:
    assert run("print(watchdog_interval_s())") == "None"


def test_a_watchdog_meant_for_another_process_is_not_fed() -> None:
    assert run("print(watchdog_interval_s())", WATCHDOG_USEC="20000000", WATCHDOG_PID="1") == "None"
    assert (
        run("os.environ['WATCHDOG_PID'] = str(os.getpid()); print(watchdog_interval_s())", WATCHDOG_USEC="2000000")
        == "1.0"
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"WATCHDOG_USEC": "abc"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "1e6"},
        {"WATCHDOG_USEC": "18446744073709551615"},
        {"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "me"},
    ],
)
def test_a_watchdog_variable_that_is_no_number_is_reported_and_no_watchdog(variables: dict[str, str]) -> None:
    said = run("print(watchdog_interval_s())", **variables)
    assert said.endswith("None")
    assert f"the environment variable {list(variables)[-1]} must be a whole number" in said
