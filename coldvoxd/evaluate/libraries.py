"""The libraries of the extra `evaluate`, and those of other engines: optional, and imported only when they are used."""

import importlib
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from coldvoxd.core.errors import LibraryUnusable

JIWER, WHISPER_NORMALIZER = "jiwer>=4,<5", "whisper-normalizer>=0.1.12,<0.2"
"""The same bounds as in pyproject.toml."""


def install_command(*requirements: str, prefix: Path = Path(sys.prefix)) -> str:
    """Return the shell command that adds packages to the Python environment at `prefix`, in which this program runs."""
    wanted = " ".join(shlex.quote(requirement) for requirement in requirements)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx inject coldvoxd {wanted}"
    return f"{shlex.quote(str(prefix / 'bin' / 'python'))} -m pip install {wanted}"


def require(module: str, purpose: str, *requirements: str) -> ModuleType:
    """Import a module. Raises LibraryUnusable, with the command that installs its package, if there is none.

    `purpose` begins a sentence: what needs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise LibraryUnusable.because(error) from error
        raise LibraryUnusable(
            f"{purpose} needs the package {requirements[0].partition('>')[0]}, which is not installed: install it with "
            f"`{install_command(*requirements)}`."
        ) from error
    except (ImportError, OSError) as error:
        raise LibraryUnusable.because(error) from error


def named(package: str) -> str:
    """Return a package's name and version."""
    return f"{package} {version(package)}"
