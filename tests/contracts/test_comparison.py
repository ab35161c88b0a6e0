"""What the comparison with a frozen contract reports, and what it permits."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.contracts import names
from tests.support.contracts.comparison import (
    breaches,
    limit_breaches,
    merged,
    order_breaches,
    shape_breaches,
    shape_of,
)

OUTPUT = {"name": "mini", "bytes": 7, "share": 0.5, "here": True, "words": [{"word": "a", "start": 0.0}], "path": None}


def test_additions_pass() -> None:
    assert breaches({"a": "u", "codes": ["x"]}, {"a": "u", "b": "s", "codes": ["new", "x"]}) == []
    assert order_breaches(["x", "y"], ["x", "new", "y"]) == []
    assert limit_breaches({"min": 1, "max": 5}, {"min": 0, "max": 9}) == limit_breaches({"min": 1, "max": 5}, {}) == []
    more = {**OUTPUT, "new": 1, "words": [{"word": "a", "start": 0, "end": 1.0}]}
    assert shape_breaches(shape_of(OUTPUT), shape_of(more)) == []


def test_what_is_removed_retyped_or_re_meant_is_reported() -> None:
    assert breaches({"a": "u"}, {}) == ["/a was removed"]
    assert breaches({"a": "u"}, {"a": "s"}) == ["/a changed from 'u' to 's'"]
    assert breaches({"codes": ["x"]}, {"codes": ["y"]}) == ["/codes: 'x' was removed"]
    assert breaches({"NotReady": 4}, {"NotReady": 5}) == ["/NotReady changed from 4 to 5"]
    assert order_breaches(["x", "y"], ["y"]) == [": 'x' was removed"]
    assert len(order_breaches(["x", "y"], ["y", "x"])) == 1
    assert limit_breaches({"min": 1, "max": 5}, {"min": 1, "max": 4})


@pytest.mark.parametrize("key", OUTPUT)
def test_a_key_of_an_output_that_is_missing_or_has_another_type_is_reported(key: str) -> None:
    without = {name: value for name, value in OUTPUT.items() if name != key}
    assert shape_breaches(shape_of(OUTPUT), shape_of(without)) == [f"/{key} was removed"]
    assert len(shape_breaches(shape_of(OUTPUT), shape_of(OUTPUT | {key: {}}))) == 1


def test_an_inner_key_that_is_missing_is_reported() -> None:
    fewer = OUTPUT | {"words": [{"word": "a"}]}
    assert shape_breaches(shape_of(OUTPUT), shape_of(fewer)) == ["/words/*/start was removed"]
    stages = {"stages": {"encoder": {"count": 1, "p50": 0.1}}}
    assert shape_breaches(shape_of(stages), shape_of({"stages": {"decoder": {"count": 1}}})) == [
        "/stages/*/p50 was removed"
    ]


def test_a_key_that_only_some_objects_have_is_kept() -> None:
    both = merged([shape_of({"path": None}), shape_of({"path": "x", "error": "y"})])
    assert both["fields"] == {"path": {"types": ["null", "string"]}, "error": {"types": ["string"]}}


def _remove_command(tree: dict[str, Any]) -> None:
    del tree["commands"]["retry"]


def _remove_option(tree: dict[str, Any]) -> None:
    del tree["commands"]["transcribe"]["options"]["--channel"]


def _remove_choice(tree: dict[str, Any]) -> None:
    tree["commands"]["completion"]["positionals"] = [[1, ["bash", "zsh"]]]


def _require_option(tree: dict[str, Any]) -> None:
    tree["commands"]["start"]["required"].append("--words")


def _require_argument(tree: dict[str, Any]) -> None:
    tree["commands"]["stop"]["positionals"].append([1, []])


@pytest.mark.parametrize(
    "change", [_remove_command, _remove_option, _remove_choice, _require_option, _require_argument]
)
def test_a_call_that_is_no_longer_possible_is_reported(change: Callable[[dict[str, Any]], None]) -> None:
    frozen = names.commands()["coldvoxctl"]
    current = copy.deepcopy(frozen)
    assert names.command_breaches(frozen, current, "coldvoxctl") == []
    change(current)
    assert len(names.command_breaches(frozen, current, "coldvoxctl")) == 1
