"""Sources of the sound server, and which of them a setting or a client means. Pure."""

from dataclasses import dataclass

from coldvoxd.core.errors import UnknownDevice, shown

DEFAULT = "default"
"""The name that stands for the desktop's default source."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the sound server."""

    name: str
    """The server's name, such as `alsa_input.usb-Blue_Yeti-00.analog-stereo`."""
    description: str
    """The name that users know: “Blue Yeti”."""
    monitor: bool = False
    """Whether it is the output of a loudspeaker and not a microphone."""
    bluetooth: bool = False
    muted: bool = False
    positions: tuple[str, ...] = ("mono",)
    """Positions of its channels, in the server's names."""


@dataclass(frozen=True, slots=True)
class SoundView:
    """The state of the sound server at one moment."""

    sources: tuple[Source, ...] = ()
    default: str = ""
    """Name of the default source."""
    heard: str = ""
    """Name of the source that our own stream records; empty if there is no stream."""
    stream: int = 0
    """Number of that stream, which differs for each opening; 0 if there is none."""
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
    """Return the source that `default`, a name or part of a name refers to.

    Monitors of loudspeakers match only by their complete name. Raises UnknownDevice, which lists the microphones.
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


def _listed(microphones: tuple[Source, ...]) -> str:
    if not microphones:
        return "The sound server has no microphone."
    names = ", ".join(f"“{source.description}”" for source in microphones)
    return f"Available: {names}; or `{DEFAULT}`."
