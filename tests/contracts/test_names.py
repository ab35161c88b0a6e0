"""Members, keys, codes, errors, commands, settings and units: those of every release still exist, with their types."""

import json
import re

import pytest

from coldvoxd import __version__
from tests.contracts.conftest import Frozen
from tests.support.contracts import names, releases
from tests.support.contracts.comparison import breaches, limit_breaches, order_breaches


def test_there_is_a_frozen_release() -> None:
    assert [path.name for path in releases()][:1] == ["0.1.0"]


def test_every_part_has_the_version_of_the_package() -> None:
    """The manual pages, `--version` and the bus take it from the package itself."""
    extension = next((names.ROOT / "contrib/desktop/gnome-shell").glob("*/metadata.json"))
    widget = next((names.ROOT / "contrib/desktop/plasma").glob("*/metadata.json"))
    assert json.loads(extension.read_text("utf-8"))["version-name"] == __version__
    assert json.loads(widget.read_text("utf-8"))["KPlugin"]["Version"] == __version__
    versions = re.findall(r"^## \[(.+?)\]", (names.ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert versions[:2] == ["Unreleased", __version__]


def test_no_member_of_the_bus_interface_is_removed_or_retyped(frozen: Frozen) -> None:
    assert breaches(names.members(frozen.text("interface.xml")), names.members(names.interface())) == []


@pytest.mark.parametrize(
    ("file", "current"),
    [
        ("bus.json", names.bus),
        ("exits.json", names.exits),
        ("installed.json", names.installed),
        ("settings.json", names.setting_kinds),
        ("typing-settings.json", names.typing_settings),
        ("words.json", names.words),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_name_is_removed_and_none_means_something_else(frozen: Frozen, file: str, current: names.Table) -> None:
    assert breaches(frozen.table(file), current()) == []


def test_problem_codes_keep_their_order_of_severity(frozen: Frozen) -> None:
    assert order_breaches(frozen.table("problems.json"), names.problems()) == []


def test_no_range_of_a_setting_is_narrowed(frozen: Frozen) -> None:
    current = names.setting_limits()
    found = [
        limit_breaches(limits, current.get(key, {}), key) for key, limits in frozen.table("setting-limits.json").items()
    ]
    assert not any(found), found


def test_what_could_be_called_on_a_command_line_can_be_called(frozen: Frozen) -> None:
    current = names.commands()
    for program, tree in frozen.table("commands.json").items():
        assert names.command_breaches(tree, current[program], program) == []
