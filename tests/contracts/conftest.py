"""The frozen contracts of each release."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.contracts import releases


class Frozen:
    """The fixtures of a release: see contrib/dev/freeze_contracts.py."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def table(self, name: str) -> Any:
        """Return the content of a JSON file."""
        return json.loads(self.text(name))

    def text(self, name: str) -> str:
        return (self.directory / name).read_text("utf-8")


@pytest.fixture(params=releases(), ids=lambda path: path.name)
def frozen(request: pytest.FixtureRequest) -> Frozen:
    return Frozen(request.param)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime directory that only this user can access."""
    directory = tmp_path / "runtime"
    directory.mkdir(mode=0o700)
    return directory
