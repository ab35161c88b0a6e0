"""Environment variables for the length of a test."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

OWN_HOME = "COLDVOX_TEST_OWN_HOME"
"""The variable with the home of whoever runs the tests: tests of a real card look there for models (see tests/hardware)."""


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables, or with None unset them, and put back afterwards what was there."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
