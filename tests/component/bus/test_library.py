"""The choice of the D-Bus library, and that a client cannot tell which one is in use."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from coldvoxd.bus.library import Message, marshalled
from coldvoxd.bus.library_name import FAST, FORCED, NAME, NEXT, chosen
from coldvoxd.doctor import software

ROOT = Path(__file__).parents[3]
BOTH = sys.version_info < (3, 15)


@pytest.mark.parametrize(
    ("python", "forced", "library"),
    [
        ((3, 11), "", NEXT),
        ((3, 14), "", NEXT),
        ((3, 15), "", FAST),
        ((3, 16), "", FAST),
        ((3, 11), FAST, FAST),
        ((3, 15), NEXT, NEXT),
    ],
)
def test_the_version_of_python_chooses_unless_a_test_does(
    monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], forced: str, library: str
) -> None:
    monkeypatch.setattr(sys, "version_info", python)
    monkeypatch.setenv(FORCED, forced)
    assert chosen() == library


def test_any_other_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORCED, "dbus-python")
    with pytest.raises(ValueError, match="must be dbus-next or dbus-fast, not 'dbus-python'"):
        chosen()


def test_the_library_that_is_chosen_is_the_one_that_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {one.name: one for one in map(Requirement, project["dependencies"])}
    for minor in range(11, 20):
        python = f"3.{minor}"
        supported = python in SpecifierSet(project["requires-python"])
        assert supported == (software.FIRST <= (3, minor) < software.END)
        if supported:
            found = [name for name in (NEXT, FAST) if needed[name].marker.evaluate({"python_version": python})]  # type: ignore[union-attr]
            assert found == [NEXT if (3, minor) < (3, 15) else FAST]
    assert version(NAME) in needed[NAME].specifier


@pytest.mark.parametrize(
    ("signature", "body"), [("s", [1]), ("s", []), ("s", ["a", "b"]), ("u", [-1]), ("a{sv}", [{"a": 1}]), ("d", ["x"])]
)
def test_a_body_that_does_not_fit_is_an_error_before_anything_is_sent(signature: str, body: list[Any]) -> None:
    with pytest.raises(ValueError):
        marshalled(Message(path="/", member="X", signature=signature, body=body))


@pytest.mark.skipif(not BOTH, reason="dbus-next cannot be imported on this Python")
def test_a_client_sees_the_same_with_both_libraries() -> None:
    seen = {}
    for name in (NEXT, FAST):
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.bus.outcomes"],
            cwd=ROOT,
            env=os.environ | {FORCED: name},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        assert found["library"] == name
        seen[name] = found["seen"]
    assert len(seen[NEXT]["calls"]) > 20
    for part in seen[NEXT]:
        assert seen[FAST][part] == seen[NEXT][part]
