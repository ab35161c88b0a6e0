"""Which microphone is meant, and when it is open: the rules, without any device."""

from dataclasses import dataclass
from enum import StrEnum

from coldvoxd.core.errors import UnknownDevice, shown

DEFAULT = "default"
"""The name that stands for whatever source the desktop has as its default."""


class Policy(StrEnum):
    """When the microphone is open."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"
    """While a session hears."""
    IDLE_RELEASE = "idle-release"
    """From a session on until some seconds after it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the sound server."""

    name: str
    """The server's own, such as `alsa_input.usb-Blue_Yeti-00.analog-stereo`."""
    description: str
    """As people know it: “Blue Yeti”."""
    monitor: bool = False
    """What a loudspeaker plays, no microphone."""
    bluetooth: bool = False
    muted: bool = False
    positions: tuple[str, ...] = ("mono",)
    """Its channels, by the server's names for their positions."""


@dataclass(frozen=True, slots=True)
class SoundView:
    """What the sound server showed at one moment."""

    sources: tuple[Source, ...] = ()
    default: str = ""
    """Name of the default source."""
    heard: str = ""
    """Name of the source that our own stream records; empty where we have none."""
    stream_muted: bool = False
    """Whether a mixer has muted our own stream."""
    pipewire: bool = False
    """Whether the server is PipeWire, which speaks PulseAudio's protocol."""

    def source(self, name: str) -> Source | None:
        return next((source for source in self.sources if source.name == name), None)

    @property
    def microphones(self) -> tuple[Source, ...]:
        return tuple(source for source in self.sources if not source.monitor)


def find(view: SoundView, wanted: str) -> Source:
    """The source meant by `default`, a name, or part of one; raises UnknownDevice with what there is.

    Monitors of loudspeakers are never meant, unless by their whole name.
    """
    microphones = view.microphones
    if wanted == DEFAULT:
        if (found := view.source(view.default)) is not None and not found.monitor:
            return found
        if not microphones:
            raise UnknownDevice("The sound server has no microphone: plug one in, or enable it in the sound settings.")
        raise UnknownDevice(f"The desktop's default source is not a microphone. {_listed(microphones)}")
    folded = wanted.casefold()
    exact = [source for source in view.sources if source.name == wanted]
    exact += [source for source in microphones if source.description.casefold() == folded]
    if exact:
        return exact[0]
    partial = [
        source for source in microphones if folded and folded in f"{source.description}\n{source.name}".casefold()
    ]
    if len(partial) == 1:
        return partial[0]
    if partial:
        raise UnknownDevice(
            f"“{shown(wanted)}” matches several microphones; give more of the name. {_listed(tuple(partial))}"
        )
    raise UnknownDevice(f"There is no microphone “{shown(wanted)}”. {_listed(microphones)}")


def policy_in_force(policy: Policy, source: Source | None, *, bluetooth_always: bool) -> Policy:
    """An open Bluetooth microphone pins its headset to call quality, so `always` spares it unless told otherwise."""
    if policy is Policy.ALWAYS and source is not None and source.bluetooth and not bluetooth_always:
        return Policy.ON_DEMAND
    return policy


def _listed(microphones: tuple[Source, ...]) -> str:
    if not microphones:
        return "The sound server has no microphone."
    names = ", ".join(f"“{source.description}”" for source in microphones)
    return f"Available: {names}; or `{DEFAULT}`."
