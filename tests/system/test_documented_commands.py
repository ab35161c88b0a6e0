"""The systemd commands in README and manual, in a real login. tests/contrib/test_documentation.py has all others."""

import subprocess

import pytest

from tests.support.documentation import Command, block_commands, inline_commands
from tests.support.login.login import UNIT, Login

NOT_RUN = {
    "systemctl --user enable --now coldvox-type": "needs a desktop: contrib/desktop-check.sh",
    "systemctl --user enable --now coldvoxd-keys": "needs a desktop: contrib/desktop-check.sh",
    "systemctl --user edit coldvoxd-keys": "needs an editor",
    "systemctl --user start coldvoxd-model": "needs a model hub: tests/system/test_model_fetch.py",
}
PROGRAMS = ("systemctl", "journalctl")
TO_RUN = sorted(
    {
        command.text: command
        for command in (*block_commands(), *inline_commands())
        if command.program in PROGRAMS and command.text not in NOT_RUN
    }.values(),
    key=lambda command: command.text,
)


def run(here: Login, command: Command) -> "subprocess.CompletedProcess[str]":
    return here.run("sh", "-c", command.text)


@pytest.mark.parametrize("command", TO_RUN, ids=lambda command: command.text)
def test_each_command_of_systemd_works(command: Command, dictation: Login) -> None:
    printed = run(dictation, command).stdout
    dictation.wait_for_state("idle")
    assert dictation.show(UNIT, "ActiveState") == "active"
    if command.text.startswith("journalctl --user -u coldvoxd "):
        assert "ready" in printed


def test_what_is_not_run_is_in_the_text() -> None:
    assert NOT_RUN.keys() <= {command.text for command in (*block_commands(), *inline_commands())}
