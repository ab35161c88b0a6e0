"""What a terminal, a full device, a closed pipe and an early interrupt do to the commands."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from coldvoxd import __version__
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.models.directories import bundled_directory
from tests.component.cli.conftest import ROOT, Ctl, Terminal
from tests.support.bus.private_bus import PrivateBus, running_service

COMMANDS = ("coldvoxd.cli.main", "coldvoxd.typist", "coldvoxd")
INTERRUPTED_IMPORT = """\
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncio":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


def run(*arguments: str, **streams: int) -> "subprocess.CompletedProcess[str]":
    wanted: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, text=True, check=False, **wanted)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("--help",),
        ("start", "--help"),
        ("completion", "bash"),
        ("config", "example"),
        ("--json", "config"),
    ],
)
def test_a_full_device_is_reported_in_one_sentence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        result = run("coldvoxd.cli.main", *arguments, stdout=full.fileno())
    assert result.returncode == Exit.FAILED
    assert len(result.stderr.splitlines()) == 1
    assert f"Standard output cannot be written: {os.strerror(errno.ENOSPC)}." in result.stderr


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("module", COMMANDS)
def test_every_command_reports_a_full_device(module: str, option: str) -> None:
    with Path("/dev/full").open("w") as full:
        result = run(module, option, stdout=full.fileno())
    assert (result.returncode, len(result.stderr.splitlines())) == (Exit.FAILED, 1)
    assert "tandard output cannot be written: " in result.stderr


def test_a_full_device_for_errors_changes_no_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        assert run("coldvoxd.cli.main", "no-such-command", stderr=full.fileno()).returncode == Exit.USAGE
        assert (
            run("coldvoxd.cli.main", "--version", stdout=full.fileno(), stderr=full.fileno()).returncode == Exit.FAILED
        )


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        *((module, (option,)) for module in COMMANDS for option in ("--help", "--version")),
        ("coldvoxd.cli.main", ("config", "example")),
        ("coldvoxd.cli.main", ("completion", "zsh")),
    ],
)
def test_a_closed_pipe_ends_a_command_as_sigpipe_would(module: str, arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = run(module, *arguments, stdout=writing)
    os.close(writing)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, "")


def test_without_standard_output_no_recording_is_transcribed(tmp_path: Path) -> None:
    """Its text would be lost."""
    command = f"{sys.executable} -m coldvoxd.cli.main transcribe --local --model mini {tmp_path}/none.wav >&-"
    result = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (Exit.FAILED, "")
    assert result.stderr == "coldvoxctl: Standard output is closed, so the text could not be printed.\n"


@pytest.mark.parametrize("module", COMMANDS)
def test_an_interrupt_while_the_program_is_loaded_leaves_no_traceback(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED_IMPORT)
    result = subprocess.run(
        [sys.executable, "-m", module, "--last"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (Exit.INTERRUPTED, "", "")


@pytest.mark.parametrize("module", COMMANDS)
def test_an_ignored_interrupt_stays_ignored_while_the_program_is_loaded(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{INTERRUPTED_IMPORT}"
    )
    result = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (Exit.DONE, "")


async def test_control_characters_of_a_file_name_have_no_effect_on_a_terminal(ctl: Ctl, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\x1b]0;owned\x07\n\xff.ogg"
    terminal = Terminal()
    result = await (await ctl("transcribe", "--local", "--model", "mini", name, stderr=terminal.its)).ended()
    shown = terminal.written()
    assert result.exit == Exit.FAILED
    assert "\\x1b]0;owned\\x07\\n\\xff.ogg: check the name" in shown
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 1


async def test_the_progress_of_a_long_path_stays_on_one_line(ctl: Ctl, tmp_path: Path) -> None:
    sample = next((bundled_directory() / "samples").glob("*.flac"))
    file = tmp_path / ("x" * 120 + ".flac")
    file.write_bytes(sample.read_bytes())
    terminal = Terminal()
    result = await (await ctl("transcribe", "--local", "--model", "mini", str(file), stderr=terminal.its)).ended()
    lines = [line.partition("\x1b[K")[2] for line in terminal.written().split("\r")]
    assert result.exit == Exit.DONE
    assert any(line.endswith("x.flac 100 %") for line in lines)
    assert all(len(line) < 40 for line in lines)


async def test_names_of_devices_are_escaped_on_a_terminal_and_whole_in_a_pipe(bus: PrivateBus) -> None:
    async with running_service(bus) as running:
        running.microphone.devices = (("mic\n\x1b[2J", "A\x1b[31m\nred microphone"),)
        command = [sys.executable, "-m", "coldvoxd.cli.main", "devices"]
        terminal = Terminal()
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=bus.environment, stdout=terminal.its)
        assert await process.wait() == Exit.DONE
        shown = terminal.written()
        assert "A\\x1b[31m\\nred microphone" in shown
        assert "\x1b" not in shown
        piped = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=bus.environment, stdout=asyncio.subprocess.PIPE
        )
        assert b"A\x1b[31m\nred microphone" in (await piped.communicate())[0]


WARNS = """\
import atexit, logging, sys, warnings
def warn():
    warnings.warn("raw warning of a library")
    logging.getLogger("some.library").warning("raw message of a library")
    logging.getLogger("coldvoxd.part").warning("recognition is slower")
atexit.register(warn)
"""


@pytest.mark.parametrize(
    ("arguments", "shown"), [(("--version",), "coldvoxctl: recognition is slower\n"), (("--version", "--json"), "")]
)
def test_warnings_of_libraries_do_not_reach_stderr(tmp_path: Path, arguments: tuple[str, ...], shown: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(WARNS)
    result = subprocess.run(
        [sys.executable, "-m", "coldvoxd.cli.main", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (Exit.DONE, shown)


IMPORT_WARNS = """\
import sys, warnings

class Warns:
    def find_spec(self, name, path=None, target=None):
        if name == "asyncio":
            sys.meta_path.remove(self)
            warnings.warn("a library is deprecated", DeprecationWarning)

sys.meta_path.insert(0, Warns())
"""


@pytest.mark.parametrize("module", COMMANDS)
@pytest.mark.parametrize("chosen", ["error", "always", "error::DeprecationWarning"])
def test_a_library_that_warns_is_loaded_whatever_pythonwarnings_says(tmp_path: Path, module: str, chosen: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(IMPORT_WARNS)
    result = subprocess.run(
        [sys.executable, "-m", module, "--version"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONWARNINGS": chosen},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (Exit.DONE, "")
    assert result.stdout.endswith(f" {__version__}\n")
