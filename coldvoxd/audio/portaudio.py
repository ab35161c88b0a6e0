"""Microphones through PyAudio: the sound server's ALSA device with a chosen source, or ALSA devices without a server.

PyAudio 0.2.14 releases the GIL in every call used here (initialize, open, start, is_active, stop, close, terminate), so
that a frozen sound server blocks only the device thread. It holds the GIL in `is_format_supported`, which opens the
device: that call must never be made; a format is tested by opening the stream with it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyaudio

from coldvoxd.audio import soundserver
from coldvoxd.audio.convert import StreamConverter
from coldvoxd.audio.device_retry import DeviceRetry, surroundings
from coldvoxd.audio.jack import keep_jack_out
from coldvoxd.audio.library_stderr import hushed, quieten
from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.channels import MOST, StreamLayout, stream_layout
from coldvoxd.core.errors import CaptureFault, UnknownDevice
from coldvoxd.core.ports import OpenedMicrophone
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.sound_sources import DEFAULT, Source, find
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE

log = logging.getLogger(__name__)

BUFFER_SAMPLES = 2 * FRAME_SAMPLES
"""Samples at 16 kHz in each of PortAudio's buffers. Single frames would arrive 16 ms sooner on average, but cost a
third more CPU time when idle: waking for a buffer costs more than processing it."""
LONGEST_AGE_S = 1.0
"""Age of a sample in seconds, beyond which the driver's statement is not believed."""
SERVER_DEVICES = ("pulse", "pipewire")
"""ALSA's names for a sound server, in order of preference; then `default`."""


CONVERTING_DEVICES = ("default", "sysdefault")
"""ALSA's names for devices that accept any number of channels, independent of the hardware."""


@dataclass(frozen=True, slots=True)
class Device:
    """An input device in PortAudio's list."""

    index: int
    name: str
    host_api: str
    channels: int
    rate: int


def formats(device: Device) -> Iterator[tuple[int, int]]:
    """The (rate, channels) to try on a device: first all channels, so that coldvoxd selects among them; then fewer.

    A sound server converts rates itself.
    """
    if device.name in SERVER_DEVICES:
        yield SAMPLE_RATE, device.channels
        if device.channels > 1:
            yield SAMPLE_RATE, 1
        return
    tried = set()
    native = 2 if device.name in CONVERTING_DEVICES or device.channels > MOST else device.channels
    for channels in (native, min(2, device.channels), 1):
        for rate in (SAMPLE_RATE, device.rate, 48_000, 44_100):
            if (rate, channels) not in tried:
                tried.add((rate, channels))
                yield rate, channels


class PortAudioMicrophone:
    """The Microphone port on PortAudio in callback mode. Device thread only, because PortAudio's state is global.

    Must be constructed at startup, because it sets environment variables.
    """

    def __init__(
        self,
        settings: MicrophoneSettings,
        formats: Callable[[Device], Iterable[tuple[int, int]]] = formats,
    ) -> None:
        self.wanted = settings.device
        """The microphone for the next opening: `default`, a name, or part of one. Any thread may set it."""
        self.bare: tuple[str, ...] = ()
        """Names of PortAudio's devices if the last search found no sound server. Any thread may read it."""
        self._formats = formats
        self._served = False
        self._outlook = DeviceRetry()
        self._audio: pyaudio.PyAudio | None = None
        self._stream: pyaudio.Stream | None = None
        self._former: pyaudio.Stream | None = None
        """The stream that delivers until the one of `open_beside` does."""
        soundserver.steer(DEFAULT)

    def open(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Find the device and start it, with a new PyAudio, which is needed to find a server that was started later.

        Raises CaptureFault, and the same one again without a search if a search would fail again.
        """
        self.close()
        wanted = self.wanted
        view = soundserver.look()
        try:
            source = find(view, wanted) if view is not None else None
        except UnknownDevice as fault:
            raise CaptureFault(str(fault)) from fault
        seen = (*surroundings(), (source.name if source is not None else wanted, 0, 0))
        if (reason := self._outlook.in_vain(seen, time.monotonic())) is not None:
            raise CaptureFault(reason)
        try:
            opened = self._search(wanted, source, deliver, pipewire=view is not None and view.pipewire)
        except CaptureFault as fault:
            self.close()
            self._outlook.failed(str(fault), seen, time.monotonic())
            raise
        self._outlook.succeeded()
        return opened

    def open_beside(self, deliver: Callable[[Chunk], None]) -> OpenedMicrophone:
        """Open the wanted source of the sound server with the PyAudio of the open stream.

        Without a server, both streams may need the same hardware, which PortAudio would wait for: raises CaptureFault.
        """
        wanted, view = self.wanted, soundserver.look()
        if view is None or self._audio is None or not self._served:
            raise CaptureFault("two microphones can be open at once on a sound server only")
        try:
            source = find(view, wanted)
        except UnknownDevice as fault:
            raise CaptureFault(str(fault)) from fault
        if self._former is None:
            self._former, self._stream = self._stream, None
        else:
            self._end_stream()
        return self._search(wanted, source, deliver, pipewire=view.pipewire)

    def close_former(self) -> None:
        with hushed():
            self._end_former()

    def is_delivering(self) -> bool:
        if self._stream is None:
            return False
        try:
            return bool(self._stream.is_active())
        except OSError:
            return False

    def wait_for_server(self) -> None:
        soundserver.look()

    def close(self) -> None:
        with hushed():
            self._end_all()

    def _end_all(self) -> None:
        self._end_stream()
        self._end_former()
        audio, self._audio = self._audio, None
        if audio is not None:
            audio.terminate()

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        _end(stream)

    def _end_former(self) -> None:
        former, self._former = self._former, None
        _end(former)

    def _search(
        self, wanted: str, source: Source | None, deliver: Callable[[Chunk], None], *, pipewire: bool
    ) -> OpenedMicrophone:
        layout = None
        if source is not None:
            layout = stream_layout(source.positions, pipewire=pipewire)
            unmixed = layout is not None and layout.unmixed
            soundserver.steer(DEFAULT if wanted == DEFAULT else source.name, unmixed=unmixed)
        with hushed():
            if self._audio is None:
                self._audio = _initialized()
            devices = _devices(self._audio)
            self.bare = tuple(device.name for device in devices) if source is None else ()
            device = self._choose(DEFAULT if source is not None else wanted, devices)
            if device.name in SERVER_DEVICES:
                device = replace(device, channels=layout.channels if layout is not None else 1)
            opened = self._start(self._audio, device, layout, deliver)
        if device.name not in SERVER_DEVICES:
            return opened
        self._served = True
        if source is None:
            return opened
        view = soundserver.hold_to(source.name)
        heard = view.source(view.heard) if view is not None else None
        return replace(opened, name=(heard or source).description)

    def _choose(self, wanted: str, devices: list[Device]) -> Device:
        if wanted == DEFAULT:
            by_name = {device.name: device for device in devices}
            # `default` may be the ALSA device. If a server was used before, it will return and needs the device.
            for name in SERVER_DEVICES if self._served else (*SERVER_DEVICES, "default"):
                if name in by_name:
                    return by_name[name]
        else:
            exact = [device for device in devices if device.name == wanted]
            partial = [device for device in devices if wanted.casefold() in device.name.casefold()]
            if exact or partial:
                return (exact or partial)[0]
        if not devices:
            raise CaptureFault("there is no microphone: PortAudio lists no input device. Is the sound server running?")
        listed = ", ".join(f"“{device.name}”" for device in devices)
        raise CaptureFault(
            f"there is no microphone “{wanted}”. Input devices are {listed}; set [microphone] device to one of them"
        )

    def _start(
        self,
        audio: pyaudio.PyAudio,
        device: Device,
        layout: StreamLayout | None,
        deliver: Callable[[Chunk], None],
    ) -> OpenedMicrophone:
        refusals: list[str] = []
        for rate, channels in self._formats(device):
            order = layout.order if layout is not None and channels == layout.channels else tuple(range(channels))
            converter = StreamConverter(rate, channels, order)
            try:
                stream = audio.open(
                    rate=rate,
                    channels=channels,
                    format=pyaudio.paInt16,
                    input=True,
                    input_device_index=device.index,
                    frames_per_buffer=BUFFER_SAMPLES * rate // SAMPLE_RATE,
                    stream_callback=_callback(converter, deliver, rate),
                )
            except OSError as error:
                refusals.append(f"{rate} Hz x {channels}: {error.args[-1]}")
                continue
            self._stream = stream
            return OpenedMicrophone(device.name, float(stream.get_input_latency()), channels=len(order))
        if device.name in SERVER_DEVICES:
            raise CaptureFault(f"the sound server has no microphone that can be opened ({'; '.join(refusals)})")
        raise CaptureFault(f"the microphone “{device.name}” cannot be opened: {'; '.join(refusals)}")


def _end(stream: pyaudio.Stream | None) -> None:
    if stream is None:
        return
    # Stopped first: closing a running stream cancels PortAudio's thread, which may be waiting for the GIL.
    for end in (stream.stop_stream, stream.close):
        try:
            end()
        except OSError as error:
            log.debug("ending the stream: %s", error)


def list_devices() -> list[Device]:
    """The available input devices. Blocks, and may hang with the sound server; device thread only."""
    with hushed():
        audio = _initialized()
        try:
            return _devices(audio)
        finally:
            audio.terminate()


def _initialized() -> pyaudio.PyAudio:
    quieten()
    keep_jack_out()
    try:
        return pyaudio.PyAudio()
    except OSError as error:
        raise CaptureFault(f"PortAudio cannot be initialized: {error}") from error


def _devices(audio: pyaudio.PyAudio) -> list[Device]:
    found = (audio.get_device_info_by_index(index) for index in range(audio.get_device_count()))
    return [
        Device(
            index=int(info["index"]),
            name=str(info["name"]),
            host_api=str(audio.get_host_api_info_by_index(int(info["hostApi"]))["name"]),
            channels=int(info["maxInputChannels"]),
            rate=round(float(info["defaultSampleRate"])),
        )
        for info in found
        if int(info["maxInputChannels"]) > 0
    ]


def age_of_last(times: Mapping[str, float], buffer_s: float) -> float | None:
    """Return the age of a buffer's last sample in seconds, from PortAudio's PaStreamCallbackTimeInfo; None if it has none.

    PortAudio names the time at which the first sample was captured. With a sound server that time is measured for each
    buffer, and includes what the server and a Bluetooth headset delay. Some drivers name no time, or an impossible one.
    """
    captured_s = times["input_buffer_adc_time"]
    age_s = times["current_time"] - captured_s - buffer_s
    return max(0.0, age_s) if captured_s > 0 and -buffer_s <= age_s <= LONGEST_AGE_S else None


def _callback(
    converter: StreamConverter, deliver: Callable[[Chunk], None], rate: int
) -> Callable[[bytes | None, int, Mapping[str, float], int], tuple[None, int]]:
    """Called by PortAudio's thread for each buffer: converts it, posts it, returns."""

    def on_buffer(raw: bytes | None, frames: int, times: Mapping[str, float], flags: int) -> tuple[None, Any]:
        arrived_s = time.monotonic()
        try:
            samples = converter.convert(raw or b"")
            overflow = bool(flags & pyaudio.paInputOverflow)
            if len(samples) or overflow:
                deliver(Chunk(samples, arrived_s, overflow, age_of_last(times, frames / rate)))
        except Exception:  # a thread's boundary: PyAudio would raise it in another thread
            log.exception("an audio buffer could not be processed; closing the stream")
            return None, pyaudio.paAbort
        return None, pyaudio.paContinue

    return on_buffer
