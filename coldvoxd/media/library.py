"""PyAV, the Python binding of ffmpeg's libraries: an extra, so it may be missing."""

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from coldvoxd.core.errors import LibraryUnusable
from coldvoxd.native import extras

LOWEST, BELOW = 18, 20
"""The major versions of PyAV that the extra `media` accepts, as in pyproject.toml: LOWEST and later, before BELOW."""
_REQUIREMENT = f"av>={LOWEST},<{BELOW}"


def is_installed() -> bool:
    """Whether PyAV is installed in a version that this program can use. Does not import it."""
    if find_spec("av") is None:
        return False
    try:
        return LOWEST <= int(version("av").partition(".")[0]) < BELOW
    except (PackageNotFoundError, ValueError):
        return False


def require() -> None:
    """Raise LibraryUnusable, with the command that installs PyAV, if it cannot be imported."""
    if not is_installed():
        raise LibraryUnusable(f"This format is decoded with PyAV, the extra `media`, which is missing: {INSTALL}.")
    try:
        import av  # noqa: F401
    except (ImportError, OSError) as error:
        raise LibraryUnusable.because(error) from error


def install_command(prefix: Path = Path(sys.prefix)) -> str:
    """The shell command that adds PyAV to the Python environment at `prefix`, in which this program runs."""
    return extras.install_command(_REQUIREMENT, prefix=prefix)


INSTALL = f"install it with `{install_command()}`"
