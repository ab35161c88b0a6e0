"""Which windows belong to a browser of Chromium's kind, also in Electron's applications, and how these fetch a paste."""

from dataclasses import dataclass
from pathlib import Path

from coldvoxd.typist.focus import Focus

_BESIDE = "v8_context_snapshot.bin"
"""File that Chromium and Electron need in the directory of their executable."""
_NAMES = ("chrom", "google-chrome", "brave", "microsoft-edge", "vivaldi", "opera", "electron")
"""Beginnings of their classes, for programs in a sandbox, which know themselves by another process number."""

SURELY_SINGLE = 2
"""Number of pastes after which a browser that has always fetched once is taken to do so."""


@dataclass(slots=True)
class Browser:
    """A program of Chromium's kind: its main process fetches a paste at once, and its page when it gets to the chord."""

    fetches_twice: bool = False
    """Whether a paste was fetched twice. An older one might fetch only once, for the page."""
    single: int = 0
    """Number of pastes that were fetched once only."""

    @property
    def reads(self) -> int:
        """How often it is expected to fetch a paste."""
        return 2 if self.fetches_twice or self.single < SURELY_SINGLE else 1

    def note(self, reads: int) -> None:
        """Record how often a paste was fetched."""
        self.fetches_twice = self.fetches_twice or reads > 1
        self.single += reads == 1


def is_chromium(focus: Focus) -> bool:
    """Return whether the window is one of Chromium's, or of a program that contains it."""
    if focus.application.startswith(_NAMES):
        return True
    try:
        return focus.process > 0 and Path(f"/proc/{focus.process}/exe").readlink().with_name(_BESIDE).exists()
    except OSError:
        return False
