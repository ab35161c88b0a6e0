"""Checks the sound server and the microphone by recording for one second."""

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd import settings_file
from coldvoxd.audio import jack, soundserver
from coldvoxd.audio.portaudio import PortAudioMicrophone, list_devices
from coldvoxd.core.audio_values import Chunk
from coldvoxd.core.errors import CaptureFault, SettingsError, UnknownDevice
from coldvoxd.core.mixdown import mixed
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.sound_sources import SoundView, find
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn
from coldvoxd.userdirs import base_directories

LISTEN_S = 1.0
PATIENCE_S = 5.0
"""Seconds to wait for the first second of audio."""
JACK_LIMIT_S = 4.0
"""Seconds for the JACK check. Without a server, a JACK client is rejected within 0.2 s."""
RESTART_SERVER = (
    "restart the sound server: systemctl --user restart pipewire pipewire-pulse wireplumber (or pulseaudio)"
)


PLUG = "plug a microphone in"
UNMUTE = "unmute it: its own switch, the desktop's sound settings, or `pactl set-source-mute @DEFAULT_SOURCE@ 0`"


def check() -> Iterator[Finding | Doing]:
    """Check the server, its devices, and one second of audio."""
    try:
        wanted = settings_file.load().microphone
    except SettingsError:
        wanted = MicrophoneSettings()  # the settings check reports it
    if wanted.device.startswith("virtual:"):
        yield warn("microphone", f"the simulated microphone {wanted.device} is set; no real microphone is used")
        return
    yield from _jack()
    yield from _server()
    yield Doing("sound server", "asking it for its microphones", RESTART_SERVER)
    view = soundserver.look()
    if view is not None:
        problem = choice(view, wanted.device)
        yield microphones(view)
        if problem is not None:
            yield problem
            return
    else:
        yield Doing("devices", "listing audio devices", "unplug the device that hangs")
        try:
            devices = [device.name for device in list_devices()]
        except CaptureFault as error:
            yield fail("devices", str(error), RESTART_SERVER)
            return
        if not devices:
            yield fail("devices", "there is no input device", f"{PLUG}; `arecord -l` lists ALSA's devices")
            return
        yield ok("devices", _listed(devices))
    yield from _listen(wanted)


def microphones(view: SoundView) -> Finding:
    """The microphones of the sound server, by the names that users see."""
    if not view.microphones:
        return fail("devices", "the sound server has no microphone", f"{PLUG}, or enable it in the sound settings")
    return ok("devices", _listed(source.description for source in view.microphones))


def choice(view: SoundView, wanted: str) -> Finding | None:
    """The problem of the microphone in the settings; None if there is none."""
    try:
        source = find(view, wanted)
    except UnknownDevice as error:
        if not view.microphones:
            return fail("microphone", "there is none to listen to", PLUG)
        return fail("microphone", str(error), "choose one: coldvoxctl device NAME, or `device` under [microphone]")
    if source.muted:
        return warn("microphone", f"“{source.description}” is muted", UNMUTE)
    return None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _jack() -> Iterator[Finding]:
    """Nothing if JACK's database is absent or intact."""
    database = jack.database()
    if not database.exists() or not jack.database_hangs(JACK_LIMIT_S):
        return
    told = f"JACK's database {database} is damaged: a program that asks JACK hangs"
    remedy = f"end the programs that use JACK, then: rm -r {database}"
    if jack.keep_jack_out():
        yield warn("jack", f"{told}; coldvoxd does not use it", remedy)
    else:
        yield fail("jack", f"{told}, and coldvoxd cannot keep this build of PortAudio from it", remedy)


def _server() -> Iterator[Finding | Doing]:
    path = _server_socket()
    if path is None:
        yield ok("sound server", f"PULSE_SERVER is {os.environ['PULSE_SERVER']}")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PATIENCE_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            told = f"no sound server listens at {path} ({error.strerror or error}): only ALSA devices can be used"
            yield warn("sound server", told, RESTART_SERVER.replace("restart the", "start a", 1))
            return
    yield ok("sound server", f"listens at {path}")


def _server_socket() -> Path | None:
    """PulseAudio's socket, which PipeWire serves too; None if the server's address is not a socket path."""
    named = os.environ.get("PULSE_SERVER", "")
    if named.startswith(("unix:/", "/")):
        return Path(named.removeprefix("unix:"))
    if named:
        return None
    runtime = os.environ.get("PULSE_RUNTIME_PATH")
    if runtime:
        return Path(runtime) / "native"
    return (base_directories.runtime_directory() or base_directories.usual_runtime_directory()) / "pulse/native"


def _listen(wanted: MicrophoneSettings) -> Iterator[Finding | Doing]:
    yield Doing("microphone", f"opening “{wanted.device}”", RESTART_SERVER)
    microphone = PortAudioMicrophone(wanted)
    heard: list[npt.NDArray[np.int16]] = []
    enough = threading.Event()

    def deliver(chunk: Chunk) -> None:
        heard.append(chunk.samples if chunk.samples.ndim == 1 else mixed(chunk.samples))
        if sum(map(len, heard)) >= LISTEN_S * SAMPLE_RATE:
            enough.set()

    try:
        opened = microphone.open(deliver)
    except CaptureFault as error:
        yield fail("microphone", str(error), "choose another: set `device` under [microphone]")
        return
    yield Doing("microphone", f"listening to “{opened.name}”", RESTART_SERVER)
    enough.wait(PATIENCE_S)
    samples = np.concatenate([*heard, np.zeros(0, dtype=np.int16)])
    yield hearing(opened.name, samples)
    yield Doing("microphone", f"closing “{opened.name}”", RESTART_SERVER)
    microphone.close()


def hearing(name: str, samples: npt.NDArray[np.int16]) -> Finding:
    """The finding from about one second of int16 (n,) samples."""
    if len(samples) < LISTEN_S * SAMPLE_RATE:
        told = f"“{name}” was opened and delivered {len(samples) / SAMPLE_RATE:.2f} s of audio in {PATIENCE_S:g} s"
        return fail("microphone", told, f"it may be suspended or disconnected; {RESTART_SERVER}")
    if not samples.any():
        told = f"“{name}” delivers digital silence: it is muted, or nothing is connected"
        return warn("microphone", told, UNMUTE)
    level = 20 * np.log10(np.sqrt(np.mean(np.square(samples / 32768))))
    return ok("microphone", f"“{name}” delivers audio at {level:.0f} dBFS")
