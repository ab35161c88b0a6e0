"""Builds every part of the daemon on a connected bus, and connects the parts to each other.

`daemon` starts and stops them. Members of a part that another part calls are named here and nowhere else.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.assembly.microphone import open_microphone
from coldvoxd.assembly.parts import Audio, Bus, Host, Parts, Recognition
from coldvoxd.assembly.reload import use_settings
from coldvoxd.audio.portaudio import PortAudioMicrophone
from coldvoxd.audio.soundserver import SoundWatch
from coldvoxd.bus.announcer import BusAnnouncer
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.desktop_notices import DesktopNotices
from coldvoxd.bus.peers.user_units import Units
from coldvoxd.bus.service import BusService
from coldvoxd.capture.device_setting import DeviceSetting
from coldvoxd.capture.microphone_control import MicrophoneController
from coldvoxd.capture.state import CaptureCondition, CaptureState
from coldvoxd.capture.stream import CaptureStream
from coldvoxd.core import channels
from coldvoxd.core.failover_notice import NoticeState
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.ports import Controls
from coldvoxd.core.recognition_state import ProvidersFound, StartReleased
from coldvoxd.core.settings import ModelSettings, Settings
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.controller import DictationController
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.no_words_notice import Outcome
from coldvoxd.dictation.outcomes import Outcomes
from coldvoxd.dictation.sinks import Sinks
from coldvoxd.files.jobs import FileJobs
from coldvoxd.gpu.guard import GpuGuard
from coldvoxd.host.activity import Activity
from coldvoxd.host.battery import BatteryWatch
from coldvoxd.host.exec_state import Carried, ExecState
from coldvoxd.host.lock_watch import LockWatch
from coldvoxd.host.numbers import first_number
from coldvoxd.host.reexec import Reexec
from coldvoxd.host.sleep_watch import SleepWatch
from coldvoxd.host.status_line import StatusLine
from coldvoxd.host.suspension import Suspension
from coldvoxd.host.systemd import Notifier
from coldvoxd.host.watchdog import Watchdog
from coldvoxd.models.fetch_unit import ModelFetching
from coldvoxd.models.prepare_unit import Preparation
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.engine_control import Engine
from coldvoxd.recognition.factory import engine_at_start, find_backends
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.recognition.unloading import Unloading
from coldvoxd.vad.silero import SileroDetector


@dataclass(frozen=True, slots=True)
class _Base:
    """Objects that the parts are built from."""

    settings: Settings
    connection: Connection
    announcer: BusAnnouncer
    metrics: Metrics
    activity: Activity
    carried: Carried


def build(
    settings: Settings, connection: Connection, load_settings: Callable[[], Settings], past: ExecState | None = None
) -> Parts:
    """Build the daemon. Event loop only.

    `load_settings` reads the settings again for a reload and may raise SettingsError. `past` is the state handed over
    by the process that this one replaces. Raises ModelInvalid if the bundled voice activity model is damaged.
    """
    carried = Carried.read(past.carried if past is not None else {})
    metrics = Metrics()
    metrics.resume(carried.metrics)
    announcer = BusAnnouncer(connection, metrics)
    base = _Base(settings, connection, announcer, metrics, Activity(), carried)
    recognition = _recognition(base)
    dispatcher = recognition.dispatcher
    noticed = NoticeState(**carried.notice)
    notices = DesktopNotices(settings.notifications, announcer, lambda: dispatcher.status, noticed)
    audio, dictation, last_utterance, outcomes = _dictation(base, recognition, notices)
    files = _file_jobs(base, dispatcher, metrics)
    files.announce_to(announcer)
    host = _host(base, recognition, audio, dictation, past or ExecState())
    base.activity.follow(lambda: dictation.busy_until_s)
    base.activity.follow(lambda: dispatcher.busy_until_s)
    for is_idle in (lambda: files.idle, lambda: host.sleep.awake):
        base.activity.follow_idle(is_idle)
    parts: Parts
    engine = Engine(
        dispatcher,
        metrics,
        settings,
        load_settings=load_settings,
        use_settings=lambda fresh: use_settings(parts, fresh),
        settled=audio.policy.reopened,
        gpu_figures=recognition.gpu.figures,
    )
    problems = (dispatcher, audio.policy, outcomes, dictation)
    service = BusService(
        connection, announcer, Controls(dictation, last_utterance, engine, files, audio.policy, problems=problems)
    )
    announcer.observe(notices)
    announcer.observe(
        StatusLine(host.notifier, lambda: dictation.state, lambda: dispatcher.status, lambda: audio.capture.state)
    )
    bus = Bus(connection, announcer, service)
    parts = Parts(
        bus,
        recognition,
        engine,
        audio,
        host,
        dictation,
        last_utterance,
        files,
        metrics,
        outcomes,
        notices,
        past,
        carried,
    )
    return parts


def _recognition(base: _Base) -> Recognition:
    settings, metrics, announcer = base.settings, base.metrics, base.announcer
    gpu = GpuGuard(settings.gpu, base.activity.busy_until_s)

    def supervise(model: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        backends = find_backends(model, free_bytes=gpu.free_bytes)
        return Supervisor(backends, engine_at_start(), on_change, metrics, gpu)

    dispatcher = Dispatcher(
        supervise,
        settings.model,
        on_change=announcer.state_changed,
        on_provider_changed=announcer.provider_changed,
        metrics=metrics,
    )
    units = Units(base.connection)
    dispatcher.look_for_missing = lambda model: ModelFetching(model, lambda: units).look
    dispatcher.handle(ProvidersFound(tuple(base.carried.usable_providers)))
    if base.carried.resting:
        dispatcher.handle(StartReleased())
    unloading = Unloading(settings.model.unload_after_s, dispatcher, base.activity.busy_until_s)
    return Recognition(dispatcher, gpu, Preparation(settings.model, units), unloading)


def _dictation(
    base: _Base, recognition: Recognition, notices: DesktopNotices
) -> tuple[Audio, DictationController, LastUtterance, Outcomes]:
    """Build the microphone and the controller, which report to each other."""
    dictation: DictationController
    settings, announcer = base.settings.microphone, base.announcer
    tried, opened = asyncio.Event(), asyncio.Event()
    microphone = open_microphone(settings)
    on_server = microphone if isinstance(microphone, PortAudioMicrophone) else None

    def on_capture(state: CaptureState) -> None:
        if state.condition in {CaptureCondition.OPEN, CaptureCondition.LOST}:
            tried.set()
            is_open = state.condition is CaptureCondition.OPEN
            if is_open:
                opened.set()
            dictation.on_capture(is_open, state.reason, microphone=state.microphone)
        else:
            (dictation.on_closed if state.closed else dictation.on_reopening)()
        announcer.state_changed()

    def on_rest(obstacle: str) -> None:
        """The policy closed the microphone. `obstacle` is why it could not be opened for a session, otherwise empty."""
        tried.set()
        if obstacle:
            dictation.on_capture(False, obstacle)
        else:
            dictation.on_release()

    def on_hearing(hearing: bool) -> None:
        """A session needs the microphone from now on, or no longer needs it."""
        if hearing:
            recognition.gpu.needed()
            recognition.unloading.needed()
        capture.attend(hearing)
        policy.on_hearing(hearing)

    capture = CaptureStream(
        microphone,
        lambda item: dictation.on_item(item),  # noqa: PLW0108 - dictation is built below
        on_capture,
        on_device=lambda _: announcer.state_changed(),
    )
    capture.attend(False)
    policy = MicrophoneController(settings, capture, on_server, on_rest, on_change=announcer.state_changed)
    if base.carried.device:
        policy.resume(base.carried.device)
    outcomes = Outcomes(
        base.metrics,
        notices.show_session,
        is_muted=lambda: policy.muted,
        without_words=base.carried.without_words,
    )
    selector = ChannelSelector(SileroDetector(), channels.parse(settings.channel))
    last_utterance = _last_utterance(base, recognition.dispatcher, outcomes)
    sinks = Sinks(last_utterance, outcomes.note, metrics=base.metrics)
    dictation = _controller(base, recognition.dispatcher, capture, selector, sinks, on_hearing=on_hearing)
    device = DeviceSetting(settings.device, capture, policy, open_microphone)
    sound = SoundWatch(policy.on_view) if on_server is not None else None
    return Audio(capture, policy, device, selector, sound, tried, opened), dictation, last_utterance, outcomes


def _last_utterance(base: _Base, recognition: Dispatcher, outcomes: Outcomes) -> LastUtterance:
    def on_words() -> None:
        """A retry returned words: clear the problem of a session without words."""
        outcomes.note(Outcome.WORDS)
        base.announcer.state_changed()

    return LastUtterance(recognition.recognize, base.metrics, on_words)


def _file_jobs(base: _Base, recognition: Dispatcher, metrics: Metrics) -> FileJobs:
    return FileJobs(
        recognition,
        SileroDetector,
        first_number=first_number(),
        metrics=metrics,
        settings=base.settings.dictation,
        batch_size=base.settings.files.batch_size,
    )


def _controller(
    base: _Base,
    recognition: Dispatcher,
    capture: CaptureStream,
    selector: ChannelSelector,
    sinks: Sinks,
    *,
    on_hearing: Callable[[bool], None],
) -> DictationController:
    settings = base.settings
    controller = DictationController(
        SileroDetector(),
        selector,
        recognition,
        capture,
        sinks,
        endpoint=settings.endpoint,
        settings=settings.dictation,
        pre_roll_ms=settings.microphone.pre_roll_ms,
        first_number=first_number(),
        log_text=settings.log.spoken_text,
        on_hearing=on_hearing,
    )
    controller.announce_to(base.announcer)
    return controller


def _host(base: _Base, recognition: Recognition, audio: Audio, dictation: DictationController, past: ExecState) -> Host:
    dispatcher, gpu, policy = recognition.dispatcher, recognition.gpu, audio.policy
    suspension = Suspension(dictation, policy, dispatcher, on_change=base.announcer.state_changed)

    def on_lock(locked: bool) -> None:
        if locked:
            dictation.on_screen_lock()
        policy.on_lock(locked)

    lock = LockWatch(
        base.connection, base.settings.microphone.release_on_lock, on_lock, on_cover=dictation.partials.hide
    )
    dictation.partials.may_show = lock.is_surely_unlocked
    notifier = Notifier()
    promises = {"microphone": audio.capture.promise_kept, "recognizer": dispatcher.promise_kept}
    reexec = Reexec(
        base.settings.replacement,
        past,
        wanted=lambda: dispatcher.state.wants_new_process or gpu.wants_new_process,
        busy_until_s=base.activity.busy_until_s,
        report=dispatcher.report_error,
        slept=lambda: dispatcher.state.degraded_by_suspend or dispatcher.state.accelerator_released,
        hanging_s=audio.capture.hanging_s,
    )
    return Host(
        notifier,
        SleepWatch(suspension.prepare, suspension.resume),
        BatteryWatch(dictation.on_battery),
        lock,
        Watchdog(promises, notifier.watchdog),
        reexec,
        base.activity,
    )
