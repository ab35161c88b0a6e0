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
        self._last_heard = ""
        """The source of our stream when it was last known: a stream that a server moves may have none in between."""
        self._opened_for: tuple[str, ...] = ()
        """Channels of the source that our stream recorded first; empty if it is not known."""
        self._refitted_for = ""
        """The source for whose channels the stream is being reopened."""

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
        self._note_stream(before, view)
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
        """Return, once, whether the stream must be reopened, because the server moved it to a source with other channels.

        A server that moves our stream remixes its channels: only a new stream has the source's own. A move by the user
        is exempt, since a new stream would follow the settings.
        """
        recorded = self._view.source(self._view.heard) if self._view is not None else None
        if recorded is None or recorded.name in (self._moved_to, self._refitted_for):
            return False
        if recorded.positions == self._opened_for:
            return False
        self._refitted_for = recorded.name
        return True

    def _note_move(self, before: SoundView, now: SoundView) -> bool:
        """Record and return whether the user moved the stream in a mixer: no other cause explains the move.

        It is kept like a selection. A move to the selected source is the server's, or ends what the user did before.
        The server moves our stream and changes its default at the same time, but the two may be in different views, in
        either order: a view is read in several requests.
        """
        if now.default != before.default or not (now.heard or now.stream):
            self._moved_to = ""
            return False
        target = self.target
        was_elsewhere = now.stream == before.stream and self._last_heard not in {"", now.heard}
        if not now.heard or not was_elsewhere or now.source(self._last_heard) is None:
            return False
        moved = target is None or now.heard != target.name
        self._moved_to = now.heard if moved else ""
        return moved

    def _note_stream(self, before: SoundView, now: SoundView) -> None:
        """Record what our stream records, and for which channels it was opened."""
        if now.stream != before.stream or not (now.heard or now.stream):
            self._last_heard, self._opened_for, self._refitted_for = "", (), ""
        if (recorded := now.source(now.heard)) is not None:
            self._last_heard = recorded.name
            self._opened_for = self._opened_for or recorded.positions
            if recorded.positions == self._opened_for:
                self._refitted_for = ""
