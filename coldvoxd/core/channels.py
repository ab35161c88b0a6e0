"""Channels of a microphone or a recording: the syntax of a choice, and the channel layouts of sound servers."""

from collections.abc import Sequence
from dataclasses import dataclass

from coldvoxd.core.toml_spelling import toml_spelling

MOST = 32
"""Maximum number of channels; PortAudio's ALSA devices and the supported recordings have no more."""
THE_MIX = 0
"""Stands for the mix in place of a channel number; channels count from 1."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A choice of channel: `auto`, `mix`, or one channel."""

    text: str = "auto"
    """The choice as written: auto, mix, left, right, or a number."""

    @property
    def automatic(self) -> bool:
        return self.text == "auto"

    @property
    def number(self) -> int:
        """Number of the channel, from 1; 0 for `auto` and `mix`."""
        return {"auto": THE_MIX, "mix": THE_MIX, "left": 1, "right": 2}.get(self.text) or int(
            self.text if self.text.isdecimal() else THE_MIX
        )

    def missing_in(self, channels: int) -> str:
        """Return why a source with `channels` channels lacks this choice, as the end of a sentence; otherwise empty."""
        if self.number <= channels:
            return ""
        have = "1 channel" if channels == 1 else f"{channels} channels"
        usable = "auto, mix or 1" if channels == 1 else f"auto, mix or a number from 1 to {channels}"
        return f"has {have}, and channel is {self.text}: set it to {usable}"

    def __str__(self) -> str:
        return self.text


AUTO = Channel()
MIX = Channel("mix")


def parse(value: object) -> Channel:
    """Parse a choice of channel, given as text or as a number. Raises ValueError with the accepted values."""
    text = str(value).strip().casefold() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if text in {"auto", "mix", "left", "right"}:
        return Channel(text)
    if text.isascii() and text.isdecimal() and 1 <= int(text) <= MOST:
        return Channel(str(int(text)))
    raise ValueError(
        f"must be auto, mix, left, right or a channel's number from 1 to {MOST}, not {toml_spelling(value)}"
    )


def canonical(value: object) -> str:
    """Return a choice in canonical form, for settings and command lines."""
    return str(parse(value))


_ALSA_8 = ("front-left", "front-right", "rear-left", "rear-right", "front-center", "lfe", "side-left", "side-right")
_ALSA_ORDER = {1: ("mono",), **{count: _ALSA_8[:count] for count in (2, 4, 5, 6, 8)}}
"""Names that ALSA's pulse plugin gives to the channels of a stream: PA_CHANNEL_MAP_ALSA of PulseAudio's channelmap.h.
Streams with more channels have aux0, aux1, ... after the first eight."""
_AUX = {f"aux{number}": number for number in range(MOST - len(_ALSA_8))}


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """How to record a source's own channels in a stream through ALSA's pulse plugin."""

    channels: int
    """Number of channels of the stream."""
    order: tuple[int, ...]
    """Index in the stream, from 0, of each of the source's channels."""
    unmixed: bool = False
    """Whether the server must be asked not to remix (`stream.dont-remix`), which only PipeWire supports."""


def stream_layout(positions: Sequence[str], *, pipewire: bool) -> StreamLayout | None:
    """Return the layout for a source with these channel positions; None if the server can only mix them.

    Positions have PulseAudio's names. A server matches positions by name, and drops those that the stream does not
    name: a source with only aux channels is silent in a stream of the same size. PulseAudio delivers them in a longer
    stream that has these names. PipeWire (1.0) numbers them differently, and delivers them by index in a stream of
    standard positions if it is asked not to remix.
    """
    order = _ALSA_ORDER.get(len(positions), ())
    if order and sorted(order) == sorted(positions):
        return StreamLayout(len(order), tuple(order.index(position) for position in positions))
    if not positions or len(set(positions)) < len(positions) or not {*positions} <= {*_ALSA_8, *_AUX}:
        return None
    aux = [_AUX[position] for position in positions if position in _AUX]
    if pipewire and aux:
        longer = next((count for count in _ALSA_ORDER if count >= len(positions)), 0)
        whole = longer and aux == list(range(len(positions)))
        return StreamLayout(longer, tuple(aux), unmixed=True) if whole else None
    places = {position: place for place, position in enumerate(_ALSA_8)}
    places |= {position: len(_ALSA_8) + number for position, number in _AUX.items()}
    return StreamLayout(
        len(_ALSA_8) + (max(aux) + 1 if aux else 0),
        tuple(places[position] for position in positions),
        unmixed=pipewire,
    )
