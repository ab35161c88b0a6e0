"""Which source of the sound server our stream should record, and when the stream must be reopened for it."""

from dataclasses import dataclass

from coldvoxd.capture.policy import policy_in_force
from coldvoxd.core.errors import UnknownDevice
from coldvoxd.core.ports import Policy
from coldvoxd.core.sound_sources import SoundView, Source, find


@dataclass(frozen=True, slots=True)
class Step:
    """The action that makes the stream record the selected source."""

    reopen: bool = False
    """Reopen now."""
    reopen_on: str = ""
    """Reopen on this source, unless the server soon moves the stream there itself; empty for no source."""


@dataclass(frozen=True, slots=True)
class Change:
    """What changed with a new view of the sound server."""

    found: bool = False
    """The selected source, which was missing before, is present."""
    moved: bool = False
    """The user has moved our stream in a mixer."""


class SourceTracker:
    """Tracks the sound server's sources, the selected one, and the source to which the server connects our stream."""

    def __init__(self, selection: str) -> None:
        self.selection = selection
        """`default`, or the name of a source."""
        self._view: SoundView | None = None
        self._known: Source | None = None
        """The selected source as it was last seen."""
        self._moved_to = ""
        """The source to which the user moved our stream in a mixer, until another is selected."""
        self._pursued = ""
        """The source for which the stream was reopened, until the stream records it."""
        self._misfit = False
        """The stream was moved to a source with different channels and must be reopened."""

    @property
    def view(self) -> SoundView | None:
        """The sound server's sources; None while there is no server."""
        return self._view

    @property
    def target(self) -> Source | None:
        """The selected source; None if the server does not have it."""
        if self._view is None:
            return None
        try:
            return find(self._view, self.selection)
        except UnknownDevice:
            return None

    @property
    def missing(self) -> str:
        """Why the selected source can't be recorded, a sentence for people; empty if it can or there is no server."""
        if self._view is None:
            return ""
        try:
            find(self._view, self.selection)
        except UnknownDevice as fault:
            return str(fault)
        return ""

    @property
    def is_recorded(self) -> bool:
        """Whether our stream records the selected source, as far as that can be expected."""
        target = self.target
        return target is None or self._view is None or self._view.heard in {"", target.name}

    def policy(self, wanted: Policy, *, bluetooth_always: bool) -> Policy:
        """Return the policy in force for the selected source.

        While the server is absent, the source's last known state applies, so that a headset is not opened when the
        server returns.
        """
        return policy_in_force(wanted, self._known, bluetooth_always=bluetooth_always)

    def source(self, *, is_open: bool) -> Source | None:
        """Return the source that is recorded while the device `is_open`, otherwise the one that would be.

        A view may still show a stream that has been closed since.
        """
        recorded = self._view.source(self._view.heard) if self._view is not None and is_open else None
        return recorded or self.target

    def select(self, name: str) -> None:
        """Record this source from now on."""
        self.selection = name
        self._known, self._moved_to, self._pursued = self.target, "", ""

    def update(self, view: SoundView | None) -> Change:
        """Process a view of the sound server; None means that there is no server."""
        was_missing = self.target is None
        before, self._view = self._view or SoundView(), view
        self._known = self.target or self._known
        if view is None:
            return Change()
        moved = self._note_move(before, view)
        self._note_channels(before, view)
        return Change(was_missing and self.target is not None, moved)

    def next_step(self) -> Step:
        """Return how to get the selected source recorded; an empty step if the user has moved the stream."""
        if self._view is None or not self._view.heard or self._view.heard == self._moved_to:
            return Step()
        target = self.target
        if target is None:
            return Step(reopen=True)  # the source is gone and the server moved us to another: reopening reports that
        if target.name == self._view.heard:
            self._pursued = ""
            return Step()
        return Step(reopen_on=target.name if target.name != self._pursued else "")

    def pursue(self, name: str) -> None:
        """Record that the stream is reopened on that source: once, since a server may refuse it."""
        self._pursued = name

    def take_misfit(self) -> bool:
        """Return whether the stream must be reopened for the source's channels, and clear the mark."""
        misfit, self._misfit = self._misfit, False
        return misfit

    def _note_move(self, before: SoundView, now: SoundView) -> bool:
        """Record and return whether the user moved the stream in a mixer: no other cause explains the move.

        It is kept like a selection.
        """
        if not now.heard or now.default != before.default:
            self._moved_to = ""
            return False
        same_stream = bool(before.heard) and now.stream == before.stream
        moved = same_stream and now.heard != before.heard and now.source(before.heard) is not None
        if moved:
            self._moved_to = now.heard
        return moved

    def _note_channels(self, before: SoundView, now: SoundView) -> None:
        """Mark the stream for reopening if the server moved it to a source with different channels.

        A server that moves our stream remixes its channels: only a new stream has the source's own. A move by the user
        is exempt, since a new stream would follow the settings.
        """
        was, recorded = before.source(before.heard), now.source(now.heard)
        if now.heard == self._moved_to or now.stream != before.stream:
            self._misfit = False
        elif was is not None and recorded is not None and was.positions != recorded.positions:
            self._misfit = True
