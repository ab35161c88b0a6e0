"""What the command expects of a desktop, and how a desktop's programs are run."""

import subprocess
from typing import Protocol

from coldvoxd.cli.shortcuts.key import Key, Shortcut
from coldvoxd.core.errors import ColdvoxError


class Desktop(Protocol):
    """How a desktop's shortcuts are changed."""

    def present(self) -> list[str]:
        """The installed shortcuts of coldvoxd, a line each. Raises ColdvoxError."""
        ...

    def taken(self, key: Key) -> str:
        """What uses the key already, apart from coldvoxd's own shortcut; empty where it is free."""
        ...

    def changes(self, shortcut: Shortcut) -> list[str]:
        """What `install` will change, a line each. Raises ColdvoxError where it cannot."""
        ...

    def install(self, shortcut: Shortcut) -> None: ...

    def remove(self) -> list[str]:
        """Remove what `install` added; returns what was removed, a line each."""
        ...

    note: str
    """When the shortcut starts to work."""


def run(*command: str) -> str:
    """Run a program of the desktop and return its output. Raises ColdvoxError."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True)  # noqa: S603
    except FileNotFoundError:
        raise ColdvoxError(
            f"{command[0]} is not installed; this desktop's shortcuts are set with it. Install it."
        ) from None
    if done.returncode:
        raise ColdvoxError(f"{' '.join(command[:3])} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()
