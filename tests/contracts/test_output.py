"""The JSON output of each command, and the dictionaries of signals: every key of every release, with its type."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.conftest import Frozen
from tests.support.contracts import outputs, releases
from tests.support.contracts.comparison import breaches, shape_breaches


def missed(printed: outputs.Printed, wanted: Callable[[str], bool]) -> list[str]:
    """Return what readers of the releases' output of the wanted commands would miss or misread."""
    found: list[str] = []
    shapes = printed.shapes()
    for release in map(Frozen, releases()):
        for command, shape in release.table("output.json").items():
            if command in shapes:
                found += shape_breaches(shape, shapes[command], command)
            elif wanted(command):
                found.append(f"{command} printed nothing")
    return found


def test_coldvox_type() -> None:
    assert missed(outputs.typing(), lambda command: command == "coldvox-type") == []


async def test_commands_of_dictation_and_what_signals_carry(runtime: Path) -> None:
    printed = await outputs.dictation(runtime)
    own = (
        "listen",
        "start",
        "stop",
        "toggle",
        "cancel",
        "retry",
        "status",
        "metrics",
        "provider",
        "reload",
        "transcribe",
    )
    assert missed(printed, lambda command: command.startswith((*own, "shortcut portal", "error"))) == []
    for release in map(Frozen, releases()):
        assert breaches(release.table("details.json"), printed.variants) == []


async def test_commands_of_microphones(runtime: Path) -> None:
    assert missed(await outputs.microphones(runtime), lambda command: command.startswith("device")) == []


@pytest.mark.heavy
async def test_commands_of_models(runtime: Path) -> None:
    assert missed(await outputs.models(runtime), lambda command: command.startswith("model ")) == []


async def test_commands_of_settings_installation_and_examination(runtime: Path) -> None:
    own = (
        "--version",
        "config",
        "completion",
        "doctor",
        "setup",
        "shortcut install",
        "shortcut remove",
        "shortcut show",
    )
    assert missed(await outputs.machine(runtime), lambda command: command.startswith(own)) == []


def test_the_output_of_every_command_is_frozen(frozen: Frozen) -> None:
    """Covers every command that the release had, except those that only a desktop can run."""
    printed = {name.partition(":")[0] for name in frozen.table("output.json")}
    missing = {*_commands(frozen.table("commands.json")["coldvoxctl"])} - printed
    assert missing == outputs.NOT_RUN.keys()


def _commands(tree: dict[str, Any], name: str = "") -> list[str]:
    if not tree["commands"]:
        return [name]
    return [found for key, inner in tree["commands"].items() for found in _commands(inner, f"{name} {key}".strip())]
