"""Packages that are installed on request, and the commands that install them."""

import shlex
import sys
from pathlib import Path


def install_command(*requirements: str, prefix: Path = Path(sys.prefix)) -> str:
    """The shell command that adds packages to the Python environment at `prefix`, in which this program runs."""
    packages = " ".join(map(shlex.quote, requirements))
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject coldvoxd {packages}"
    return f"{shlex.quote(str(prefix / 'bin' / 'python'))} -m pip install {packages}"
