"""Which D-Bus library is used, without importing it: it may be missing or broken."""

import os
import sys

NEXT, FAST = "dbus-next", "dbus-fast"
FORCED = "COLDVOX_TEST_BUS_LIBRARY"
"""Environment variable by which tests choose the library, NEXT or FAST, on a Python that has both."""


def chosen() -> str:
    """Return NEXT, or FAST where NEXT cannot be imported. pyproject.toml has the same condition."""
    if forced := os.environ.get(FORCED):
        if forced not in (NEXT, FAST):
            raise ValueError(f"{FORCED} must be {NEXT} or {FAST}, not {forced!r}")
        return forced
    return FAST if sys.version_info >= (3, 15) else NEXT  # NEXT needs typing.no_type_check_decorator, which is gone


NAME = chosen()
"""The library in use."""
MODULE = NAME.replace("-", "_")
