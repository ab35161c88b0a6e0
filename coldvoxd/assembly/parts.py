"""The parts of the daemon by name: built by `build`, started and stopped by `daemon`."""

import asyncio
from dataclasses import dataclass

from coldvoxd.audio.soundserver import SoundWatch
from coldvoxd.bus.announcer import BusAnnouncer
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.desktop_notices import DesktopNotices
from coldvoxd.bus.service import BusService
from coldvoxd.capture.device_setting import DeviceSetting
from coldvoxd.capture.microphone_control import MicrophoneController
from coldvoxd.capture.stream import CaptureStream
from coldvoxd.core.metrics import Metrics
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.controller import DictationController
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.outcomes import Outcomes
from coldvoxd.files.jobs import FileJobs
from coldvoxd.gpu.guard import GpuGuard
from coldvoxd.host.activity import Activity
from coldvoxd.host.battery import BatteryWatch
from coldvoxd.host.exec_state import Carried, ExecState
from coldvoxd.host.lock_watch import LockWatch
from coldvoxd.host.reexec import Reexec
from coldvoxd.host.sleep_watch import SleepWatch
from coldvoxd.host.systemd import Notifier
from coldvoxd.host.watchdog import Watchdog
from coldvoxd.models.prepare_unit import Preparation
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.engine_control import Engine
from coldvoxd.recognition.unloading import Unloading


@dataclass(frozen=True, slots=True)
class Bus:
    connection: Connection
    announcer: BusAnnouncer
    service: BusService


@dataclass(frozen=True, slots=True)
class Recognition:
    dispatcher: Dispatcher
    gpu: GpuGuard
    preparation: Preparation
    unloading: Unloading


@dataclass(frozen=True, slots=True)
class Audio:
    capture: CaptureStream
    policy: MicrophoneController
    device: DeviceSetting
    channels: ChannelSelector
    sound: SoundWatch | None
    """None for the simulated microphone, which is not on a sound server."""
    tried: asyncio.Event
    """Set once the microphone was opened, could not be opened, or stays closed by policy."""
    opened: asyncio.Event
    """Set once the microphone has delivered audio."""


@dataclass(frozen=True, slots=True)
class Host:
    notifier: Notifier
    sleep: SleepWatch
    battery: BatteryWatch
    lock: LockWatch
    watchdog: Watchdog
    reexec: Reexec
    activity: Activity


@dataclass(frozen=True, slots=True)
class Parts:
    """All parts of the daemon, not yet opened or started."""

    bus: Bus
    recognition: Recognition
    engine: Engine
    audio: Audio
    host: Host
    dictation: DictationController
    last_utterance: LastUtterance
    files: FileJobs
    metrics: Metrics
    outcomes: Outcomes
    notices: DesktopNotices
    past: ExecState | None
    """The state handed over by the process that this one replaces; None if there was none."""
    carried: Carried
    """The section of `past` that belongs to other parts of the daemon."""
