"""Completions in the real shells, and the manual pages."""

import dataclasses
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coldvoxd import __version__, settings_file
from coldvoxd.cli import manual
from coldvoxd.cli.arguments import command_line
from coldvoxd.cli.completion import script_for
from coldvoxd.cli.setup import completions
from coldvoxd.typist.settings import Rule

COMMANDS = ["start", "stop", "toggle", "cancel", "status", "listen", "transcribe", "doctor", "config", "completion"]

BASH = """
source coldvoxctl.bash
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMP_LINE='{line}' COMP_POINT=${{#COMP_LINE}}
name=$(complete -p coldvoxctl) name=${{name##*-F }} name=${{name%% *}}
$name coldvoxctl "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"coldvoxctl.{shell}").write_text(script_for(shell))
    (tmp_path / "talk.ogg").touch()
    return tmp_path


def in_bash(place: Path, line: str) -> set[str]:
    words = " ".join(f"'{word}'" for word in line.split(" "))
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH.format(words=words, line=line)],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return {word.strip() for word in done.stdout.splitlines()}


def in_fish(place: Path, line: str) -> set[str]:
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source coldvoxctl.fish; complete -C '{line}'"],
        cwd=place,
        env=os.environ | {"HOME": str(place), "XDG_CONFIG_HOME": str(place), "XDG_DATA_HOME": str(place)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return {word.partition("\t")[0] for word in done.stdout.splitlines()}


def in_zsh(place: Path, line: str) -> str:
    """Return zsh's terminal output for the line and the Tab key."""
    (place / "_coldvoxctl").write_text((place / "coldvoxctl.zsh").read_text())
    (place / ".zshrc").write_text(
        f"fpath=('{place}' $fpath)\nautoload -Uz compinit && compinit -u -D\nsetopt no_beep\n"
        "coldvoxctl() { print -r -- \"GOT<$*>\" }\nPS1='READY> '\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.environ |= {"ZDOTDIR": str(place), "HOME": str(place), "TERM": "dumb"}
        os.execvp("zsh", ["zsh", "-i"])
    try:
        _read_until(terminal, "READY> ")
        os.write(terminal, f"{line}\t".encode())
        _read_until(terminal, line)
        os.write(terminal, b"\n")
        shown = _read_until(terminal, ">", after="GOT<")
        return shown.rpartition("GOT<")[2].partition(">")[0].strip()
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def _read_until(terminal: int, wanted: str, *, after: str = "", patience_s: float = 60) -> str:
    shown, deadline_s = "", time.monotonic() + patience_s
    while wanted not in (shown.partition(after)[2] if after else shown):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline_s - time.monotonic()))
        assert ready, f"no {wanted!r} in {shown!r}"
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.parametrize("complete", [in_bash, pytest.param(in_fish, marks=pytest.mark.programs("fish"))])
def test_commands_options_and_values(place: Path, complete: Callable[[Path, str], set[str]]) -> None:
    assert set(COMMANDS) <= complete(place, "coldvoxctl ")
    assert complete(place, "coldvoxctl doc") == {"doctor"}
    assert {"--once", "--start", "--private"} <= complete(place, "coldvoxctl listen --")
    assert "--private" not in complete(place, "coldvoxctl start --")
    assert complete(place, "coldvoxctl completion ") >= {"bash", "zsh", "fish"}
    assert complete(place, "coldvoxctl config get log.") == {"log.level", "log.spoken_text"}
    assert "talk.ogg" in complete(place, "coldvoxctl transcribe ta")


@pytest.mark.programs("zsh")
@pytest.mark.parametrize(
    ("typed", "became"),
    [
        ("coldvoxctl doc", "doctor"),
        ("coldvoxctl listen --onc", "listen --once"),
        ("coldvoxctl config get log.sp", "config get log.spoken_text"),
        ("coldvoxctl transcribe tal", "transcribe talk.ogg"),
    ],
)
def test_zsh_completes_at_the_tab_key(place: Path, typed: str, became: str) -> None:
    assert in_zsh(place, typed) == became


@pytest.mark.programs("groff")
def test_the_manual_pages_are_sound_and_whole(tmp_path: Path) -> None:
    pages = {path.name: path for path in manual.write(tmp_path)}
    assert set(pages) == {"coldvoxctl.1", "coldvoxd.1", "coldvox-type.1", "coldvoxd.toml.5", "type.toml.5"}
    shown = {name: _rendered(path) for name, path in pages.items()}
    for command in COMMANDS:
        assert f"\n   {command}\n" in shown["coldvoxctl.1"], command
    for doc in settings_file.describe():
        assert doc.key in shown["coldvoxd.toml.5"]
        assert doc.variable in shown["coldvoxd.toml.5"]
    assert "--config FILE" in shown["coldvoxd.1"]
    assert "78" in shown["coldvoxd.1"]
    assert "--last" in shown["coldvox-type.1"]
    for field in dataclasses.fields(Rule):
        assert f" {field.name} = " in shown["type.toml.5"]
    assert "[applications.firefox]" in shown["type.toml.5"]


@pytest.mark.parametrize(
    ("module", "program"),
    [("coldvoxd", "coldvoxd"), ("coldvoxd.cli.main", "coldvoxctl"), ("coldvoxd.typist", "coldvox-type")],
)
def test_every_command_prints_its_version(module: str, program: str) -> None:
    printed = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
    assert printed.stdout == f"{program} {__version__}\n"


def test_the_typing_client_has_completions_of_every_shell() -> None:
    scripts = dict(completions())
    assert len(scripts) == 6
    for path in (
        "bash-completion/completions/coldvox-type",
        "zsh/site-functions/_coldvox-type",
        "fish/vendor_completions.d/coldvox-type.fish",
    ):
        for option in ("last", "allow", "config", "version"):
            assert option in scripts[path]


def _rendered(page: Path) -> str:
    """Return the page as formatted by groff, after checking that groff has no warnings."""
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=100n", str(page)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    return done.stdout


def test_every_command_is_in_the_completions_of_every_shell() -> None:
    actions = [action for action in command_line()._actions if isinstance(action.choices, dict)]
    assert [set(COMMANDS) <= set(action.choices or ()) for action in actions] == [True]
    for shell in ("bash", "zsh", "fish"):
        script = script_for(shell)
        assert not [command for command in actions[0].choices or () if str(command) not in script]
