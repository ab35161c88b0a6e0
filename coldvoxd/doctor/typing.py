"""Checks the programs that the typing client needs on this desktop."""

import os
import shutil
from collections.abc import Iterator

from coldvoxd.doctor.finding import Finding, ok, warn

_NEEDED = {
    "DISPLAY": (
        ("xdotool", "xdotool", "presses the keys that paste"),
        ("xclip", "xclip", "reads and restores the clipboard"),
    ),
    "WAYLAND_DISPLAY": (("wl-copy", "wl-clipboard", "reads and restores the clipboard"),),
}
"""By the variable of the display server: the program, its Debian package, and what coldvox-type uses it for."""


def check() -> Iterator[Finding]:
    """Name each missing program with its package; nothing without a desktop."""
    displays = [name for name in _NEEDED if os.environ.get(name)]
    missing = [
        (program, package, purpose)
        for display in displays
        for program, package, purpose in _NEEDED[display]
        if shutil.which(program) is None
    ]
    for program, package, purpose in missing:
        yield warn("typing", f"{program} is missing: coldvox-type {purpose} with it", f"sudo apt install {package}")
    if displays and not missing:
        yield ok("typing", "the programs that coldvox-type needs are installed")
