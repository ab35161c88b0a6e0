"""Environment variables for the duration of a test."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

OWN_HOME = "COLDVOX_TEST_OWN_HOME"
"""The variable with the user's real home directory: tests with a real GPU look there for models (see
tests/hardware)."""


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables, or unset those that are None, and restore them afterwards."""
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
