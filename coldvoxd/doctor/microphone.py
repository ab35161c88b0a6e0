"""Checks the sound server and the microphone, by listening to it for a second."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd import settings
from coldvoxd.audio.portaudio import PortAudioMicrophone, list_devices
from coldvoxd.core.errors import CaptureFault, SettingsError
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.core.values import SAMPLE_RATE, Chunk
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn

LISTEN_S = 1.0
PATIENCE_S = 5.0
"""For the first second of sound to arrive."""
RESTART_SERVER = (
    "restart the sound server: systemctl --user restart pipewire pipewire-pulse wireplumber (or pulseaudio)"
)


def check() -> Iterator[Finding | Doing]:
    """The server, its devices, and a second of sound."""
    try:
        wanted = settings.load().microphone
    except SettingsError:
        wanted = MicrophoneSettings()  # the settings' own check says it
    if wanted.device.startswith("virtual:"):
        yield warn("microphone", f"the stand-in {wanted.device} is set; no real microphone is used")
        return
    yield from _server()
    yield Doing("sound server", "asking it for the input devices", RESTART_SERVER)
    try:
        devices = list_devices()
    except CaptureFault as error:
        yield fail("microphone", str(error), RESTART_SERVER)
        return
    if devices:
        yield ok("devices", ", ".join(f"“{device.name}”" for device in devices))
    else:
        remedy = "plug a microphone in; start the sound server; see `arecord -L` for what ALSA has"
        yield fail("devices", "there is no input device", remedy)
        return
    yield from _listen(wanted)


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
            told = f"nobody listens at {path} ({error.strerror or error}): only bare sound cards can be used"
            yield warn("sound server", told, RESTART_SERVER.replace("restart the", "start a", 1))
            return
    yield ok("sound server", f"listens at {path}")


def _server_socket() -> Path | None:
    """PulseAudio's socket, which PipeWire serves too; None where the server is named in a way that is no socket's path."""
    named = os.environ.get("PULSE_SERVER", "")
    if named.startswith(("unix:/", "/")):
        return Path(named.removeprefix("unix:"))
    if named:
        return None
    runtime = os.environ.get("PULSE_RUNTIME_PATH")
    if runtime:
        return Path(runtime) / "native"
    return Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")) / "pulse/native"


def _listen(wanted: MicrophoneSettings) -> Iterator[Finding | Doing]:
    yield Doing("microphone", f"opening “{wanted.device}”", RESTART_SERVER)
    microphone = PortAudioMicrophone(wanted)
    heard: list[npt.NDArray[np.int16]] = []
    enough = threading.Event()

    def deliver(chunk: Chunk) -> None:
        heard.append(chunk.samples)
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
    """What int16 (n,) of about a second tells of a microphone."""
    if len(samples) < LISTEN_S * SAMPLE_RATE:
        told = f"“{name}” was opened and delivered {len(samples) / SAMPLE_RATE:.2f} s of sound in {PATIENCE_S:g} s"
        return fail("microphone", told, f"it may be suspended, or gone; {RESTART_SERVER}")
    if not samples.any():
        told = f"“{name}” delivers perfect silence: it is muted, or nothing is connected"
        return warn("microphone", told, "unmute it: its switch, the desktop's sound settings, or `pactl list sources`")
    level = 20 * np.log10(np.sqrt(np.mean(np.square(samples / 32768))))
    return ok("microphone", f"“{name}” delivers sound at {level:.0f} dBFS")
