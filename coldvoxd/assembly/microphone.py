"""Which microphone the settings name: a real or a virtual one."""

from pathlib import Path

from coldvoxd.audio.portaudio import PortAudioMicrophone
from coldvoxd.capture.device_setting import VIRTUAL
from coldvoxd.core.ports import Microphone
from coldvoxd.core.settings import MicrophoneSettings
from coldvoxd.virtual.microphone import VirtualMicrophone


def open_microphone(settings: MicrophoneSettings) -> Microphone:
    """Return the microphone named in the settings, not yet opened."""
    if settings.device.startswith(VIRTUAL):
        return VirtualMicrophone(Path(settings.device.removeprefix(VIRTUAL)))
    return PortAudioMicrophone(settings)
