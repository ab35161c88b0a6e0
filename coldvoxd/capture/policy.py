"""When the microphone is open: a table of the policies, and the conditions that close it under all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from coldvoxd.core.ports import Policy
from coldvoxd.core.sound_sources import Source

LOCKED = "The microphone is closed while the screen is locked ([microphone] release_on_lock)."
ASLEEP = "The microphone is closed while the machine sleeps."


class Use(StrEnum):
    """How dictation uses the microphone."""

    SESSION = "session"
    """A session listens."""
    RECENT = "recent"
    """The last session ended less than `idle_release_s` ago."""
    NONE = "none"


OPEN: Mapping[Policy, Mapping[Use, bool]] = {
    Policy.ALWAYS: {Use.SESSION: True, Use.RECENT: True, Use.NONE: True},
    Policy.IDLE_RELEASE: {Use.SESSION: True, Use.RECENT: True, Use.NONE: False},
    Policy.ON_DEMAND: {Use.SESSION: True, Use.RECENT: False, Use.NONE: False},
}
"""Whether the microphone is open, unless a condition closes it."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions that decide, beside the policy, whether the microphone is open."""

    use: Use = Use.NONE
    locked: bool = False
    """The screen is locked, and the settings release the microphone while it is."""
    asleep: bool = False
    """The machine is about to sleep or sleeps."""

    @property
    def closed_by(self) -> str:
        """Why the microphone is closed under every policy, as a sentence for people; empty if nothing closes it."""
        if self.asleep:
            return ASLEEP
        return LOCKED if self.locked else ""

    def opens(self, policy: Policy) -> bool:
        """Return whether the microphone is to be open under this policy."""
        return not self.closed_by and OPEN[policy][self.use]

    def use_after_session(self, policy: Policy) -> Use:
        """Return the use of the microphone after a session has ended under this policy."""
        return Use.RECENT if policy is Policy.IDLE_RELEASE else Use.NONE


def policy_in_force(policy: Policy, source: Source | None, *, bluetooth_always: bool) -> Policy:
    """Return the policy to apply to `source`.

    An open Bluetooth microphone switches its headset to call quality, so `always` becomes `on-demand` for it, unless
    `bluetooth_always` is set.
    """
    if policy is Policy.ALWAYS and source is not None and source.bluetooth and not bluetooth_always:
        return Policy.ON_DEMAND
    return policy
