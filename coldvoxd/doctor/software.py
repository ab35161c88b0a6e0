"""Checks Python and the packages that coldvoxd depends on."""

import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from types import MappingProxyType

from coldvoxd import __version__
from coldvoxd.bus import library_name as bus_library
from coldvoxd.doctor.finding import Doing, Finding, fail, ok

FIRST, END = (3, 11), (3, 16)
_MODULES = MappingProxyType(
    {
        bus_library.NAME: bus_library.MODULE,
        "numpy": "numpy",
        "PyAudio": "pyaudio",
        "platformdirs": "platformdirs",
        "pulsectl": "pulsectl",
        "sdnotify": "sdnotify",
        "shtab": "shtab",
        "soundfile": "soundfile",
        "soxr": "soxr",
    }
)
_DEBIAN = MappingProxyType({"libportaudio": "libportaudio2", "libsndfile": "libsndfile1", "libpulse": "libpulse0"})
INSTALL_AGAIN = "reinstall coldvoxd: ./contrib/install.sh"


def check() -> Iterator[Finding | Doing]:
    """Check that Python, coldvoxd and its packages are installed and can be loaded."""
    yield python(sys.version_info[:2])
    yield ok("coldvoxd", f"{__version__} in {sys.prefix}")
    versions = []
    for package, module in _MODULES.items():
        yield Doing("packages", f"loading {package}", INSTALL_AGAIN)
        try:
            importlib.import_module(module)
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except (ImportError, OSError) as error:
            yield fail("packages", f"{package} cannot be loaded: {error}", _remedy(str(error)))
    if versions:
        yield ok("packages", ", ".join(versions))


def python(version: tuple[int, int]) -> Finding:
    """Whether coldvoxd supports this version of Python."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    if FIRST <= version < END:
        return ok("python", name)
    return fail("python", f"{name}: coldvoxd runs on Python 3.11 to 3.15", INSTALL_AGAIN)


def _remedy(error: str) -> str:
    for library, package in _DEBIAN.items():
        if re.search(rf"\b{library}\b", error):
            return f"install it: sudo apt-get install {package}"
    return INSTALL_AGAIN
