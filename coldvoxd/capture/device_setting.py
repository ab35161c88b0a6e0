"""The setting `[microphone] device`, as far as a reload can apply it."""

from collections.abc import Callable
from dataclasses import replace

from coldvoxd.capture.microphone_control import MicrophoneController
from coldvoxd.capture.stream import CaptureStream
from coldvoxd.core.ports import Microphone
from coldvoxd.core.settings import MicrophoneSettings

VIRTUAL = "virtual:"
"""Prefix of the device name of a virtual microphone."""


class DeviceSetting:
    """Applies the section `[microphone]` to the policy.

    A change between a real and a virtual microphone requires a restart.

    Event loop only. `open_microphone` creates the microphone that the settings name.
    """

    def __init__(
        self,
        device: str,
        capture: CaptureStream,
        policy: MicrophoneController,
        open_microphone: Callable[[MicrophoneSettings], Microphone],
    ) -> None:
        self._capture = capture
        self._policy = policy
        self._open_microphone = open_microphone
        self.in_force = device
        """Device name in force, possibly from older settings."""
        self.awaits_restart = False
        """Whether the latest settings name a device that requires a restart."""

    def use_settings(self, settings: MicrophoneSettings) -> None:
        virtual = settings.device.startswith(VIRTUAL)
        self.awaits_restart = virtual != self.in_force.startswith(VIRTUAL)
        if not self.awaits_restart:
            before, self.in_force = self.in_force, settings.device
            if virtual and self.in_force != before:
                self._capture.use(self._open_microphone(settings))
        self._policy.use_settings(replace(settings, device=self.in_force))
