"""A separate home directory: no test reads or changes that of the user who runs the tests. No test is limited in time by Hypothesis."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from coldvoxd.native.plugins import ALLOWED_HERE, SOFTWARE
from tests.support.environment import OWN_HOME

PLACES = ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "STATE_HOME", "CONFIG_DIRS", "DATA_DIRS")


def _move_in() -> None:
    os.environ.setdefault(OWN_HOME, str(Path.home()))  # pytest-xdist workers inherit it
    for name in [name for name in os.environ if name.startswith("COLDVOXD_")] + [f"XDG_{place}" for place in PLACES]:
        os.environ.pop(name, None)
    os.environ["TERM"] = "xterm"  # a terminal that the user may not have, such as one without escape codes
    home = os.environ["HOME"] = tempfile.mkdtemp(prefix="coldvox-home-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)


_move_in()
# Hypothesis limits the time of an example by default; on a busy machine that is exceeded for no fault.
settings.register_profile("coldvoxd", deadline=None)
settings.load_profile("coldvoxd")

pytest_plugins = ["tests.support.lanes"]


@pytest.fixture(autouse=True)
def _no_software_gpu() -> Iterator[None]:
    """Forget the variable that opening a WebGPU session on a software driver sets: later daemons would try that provider."""
    yield
    for variable in (SOFTWARE, ALLOWED_HERE):
        os.environ.pop(variable, None)
