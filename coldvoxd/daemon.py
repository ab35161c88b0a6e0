"""The composition root: what the daemon is made of, in the order in which it starts, serves and stops."""

import asyncio
import contextlib
import logging
import math
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from coldvoxd.audio.portaudio import PortAudioMicrophone
from coldvoxd.audio.soundserver import SoundWatch
from coldvoxd.bus.announcer import BusAnnouncer
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.screen_lock import ScreenLock
from coldvoxd.bus.peers.user_units import Units
from coldvoxd.bus.service import BusService, check_name_free
from coldvoxd.capture.policy import MicrophonePolicy
from coldvoxd.capture.stream import CaptureCondition, CaptureState, CaptureStream
from coldvoxd.core import channels, failover_notice
from coldvoxd.core.errors import BusUnavailable
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.ports import Controls, Microphone
from coldvoxd.core.settings import MicrophoneSettings, ModelSettings, Settings
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import EngineStatus, Frame, Gap, State
from coldvoxd.crash_recovery.replay import Replay
from coldvoxd.crash_recovery.spool import Spool, runtime_directory
from coldvoxd.dictation.channel_selector import ChannelSelector
from coldvoxd.dictation.controller import DictationController
from coldvoxd.dictation.outcomes import Outcomes
from coldvoxd.files.jobs import FileJobs
from coldvoxd.gpu.guard import GpuGuard
from coldvoxd.host.battery import BatteryWatch
from coldvoxd.host.exec_state import ExecState
from coldvoxd.host.reexec import Reexec
from coldvoxd.host.sleep_watch import SleepWatch
from coldvoxd.host.systemd import Notifier, watchdog_interval_s
from coldvoxd.host.watchdog import Watchdog
from coldvoxd.models.fetch_unit import ModelFetching
from coldvoxd.models.prepare_unit import have_prepared
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.engine_control import Engine
from coldvoxd.recognition.factory import VIRTUAL, engine_at_start, ladder
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.userdirs import base_directories
from coldvoxd.vad.silero import SileroDetector
from coldvoxd.virtual.microphone import VirtualMicrophone

log = logging.getLogger(__name__)

CAPTURE_TRIED_S = 3.0
"""How long the bus name waits for the microphone's first opening, so that a call which activates us finds it open."""
TEXTS_AT_STOP_S = 2.5
CAPTURE_AT_STOP_S = 1.0
"""Together under the five seconds in which the unit must have stopped."""
TEXTS_AT_SLEEP_S = 1.0
"""What is not text by then is recognized after the wake: memory outlives a sleep."""
NUMBERS_A_SECOND = 8
"""More sessions or utterances than can begin in a second for long."""
DEVICE, METRICS, NOTICE, BUS, LAST = "device", "metrics", "notice", "bus", "last-utterance"
"""What is handed over to a new process: the chosen microphone, figures, what people were told, the bus, RetryLast's audio."""
HANGING_QUIETS = 2.0
"""A device call that has hung for this multiple of [replacement] quiet_s is given a new process."""
RESTING = "resting"
"""And that nobody has dictated for long, so that the accelerator rests."""
NO_WORDS = "without-words"
"""Whether the last session with speech gave no words."""
USABLE = "usable-providers"
"""Execution providers that were found usable on this machine."""


class Daemon:
    """One dictation daemon. Construct and run on an event loop; `serve` once.

    `load_settings` reads them again, and may raise SettingsError. Raises ModelInvalid where the bundled voice activity
    model is damaged.
    """

    def __init__(
        self, settings: Settings, load_settings: Callable[[], Settings], past: ExecState | None = None
    ) -> None:
        """`past` is what the process left whose place this one has taken."""
        self._settings = settings
        self._past = past or ExecState()
        self._unheard = past is not None
        """Nothing has been heard yet in the place of another process."""
        self._last_frame_s: float | None = None
        self._heard_to_the_end = False
        self._renewing = False
        self._notifier = Notifier()
        self._stop = asyncio.Event()
        self._capture_tried = asyncio.Event()
        self._model_changed = asyncio.Event()
        self._lock_wanted = asyncio.Event()
        self._locked = False
        if settings.microphone.release_on_lock:
            self._lock_wanted.set()
        self._announcer: BusAnnouncer | None = None
        self._noticed = failover_notice.NoticeState(**self._past.carried.get(NOTICE, {}))
        self._metrics = Metrics()
        self._metrics.resume(self._past.carried.get(METRICS, {}))
        self._outcomes = Outcomes(
            self._metrics,
            self._notify_of_session,
            is_muted=lambda: self._microphone.muted,
            without_words=bool(self._past.carried.get(NO_WORDS)),
        )
        self._card = GpuGuard(settings.gpu, self._busy_until_s)
        self._recognition = Dispatcher(
            self._supervise,
            settings.model,
            on_change=self._tell,
            on_provider_changed=self._on_provider_changed,
            metrics=self._metrics,
        )
        self._engine = Engine(
            self._recognition,
            self._metrics,
            settings,
            load_settings=load_settings,
            use_settings=self._use_settings,
            card_figures=self._card.figures,
        )
        if self._past.carried.get(RESTING):
            self._recognition.begin_at_rest()
        microphone = open_microphone(settings.microphone)
        self._capture = CaptureStream(microphone, self._on_item, self._on_capture, on_device=lambda _open: self._tell())
        self._capture.attend(False)
        self._device = settings.microphone.device
        """Of the settings, as far as it is in force."""
        on_server = microphone if isinstance(microphone, PortAudioMicrophone) else None
        self._microphone = MicrophonePolicy(
            settings.microphone, self._capture, on_server, on_rest=self._on_rest, on_change=self._tell
        )
        if device := self._past.carried.get(DEVICE):
            self._microphone.resume(device)
        self._sound = SoundWatch(self._microphone.on_view) if on_server is not None else None
        self._channels = ChannelSelector(SileroDetector(), channels.parse(settings.microphone.channel))
        self._pipeline = DictationController(
            SileroDetector(),
            self._recognition,
            self._capture,
            endpoint=settings.endpoint,
            settings=settings.dictation,
            pre_roll_ms=settings.microphone.pre_roll_ms,
            first_number=first_number(),
            log_text=settings.log.spoken_text,
            metrics=self._metrics,
            on_hearing=self._on_hearing,
            on_outcome=self._outcomes.note,
            catch_up=self._capture.catch_up,
            channels=self._channels,
        )
        self._files = FileJobs(self._recognition, SileroDetector, first_number=first_number(), metrics=self._metrics)
        self._recovery: Replay | None = None
        self._replacement = Reexec(
            settings.replacement,
            self._past,
            wanted=lambda: (
                self._recognition.wants_new_process or self._card.wants_new_process or self._microphone_hangs()
            ),
            busy_until_s=self._busy_until_s,
            tell=self._recognition.tell_error,
            slept=self._is_replaced_for_rest,
        )
        self._power = BatteryWatch(self._pipeline.on_battery)
        self._sleep = SleepWatch(self._put_away, self._resume)
        self._vitals = Watchdog(
            {"microphone": self._capture.promise_kept, "recognizer": self._recognition.promise_kept},
            self._notifier.watchdog,
        )
        self._recognition.use_findings(self._past.carried.get(USABLE, ()))

    async def serve(self) -> ExecState | None:
        """Serve dictation until SIGTERM or SIGINT, or until a new process is to go on with what is returned.

        Raises NameTaken, or BusUnavailable when the bus goes away.
        """
        self._notifier.status("starting")
        connection = await Connection.open()
        announcer = BusAnnouncer(connection, self._metrics)
        service = BusService(connection, announcer, self._controls())
        await check_name_free(connection)
        units = Units(connection)
        self._recognition.look_for_missing = lambda model: ModelFetching(model, lambda: units).look
        async with _signals_handled(self._end_for_good, self._engine.reload_soon), asyncio.TaskGroup() as tasks:
            serving = [
                tasks.create_task(self._sleep.run(), name="sleep"),
                tasks.create_task(self._power.run(), name="power"),
                tasks.create_task(connection.wait_until_lost(), name="bus"),
                tasks.create_task(self._pipeline.run(), name="recognition"),
                tasks.create_task(self._card.keep(self._recognition), name="card"),
                tasks.create_task(self._load(units), name="model"),
            ]
            if self._settings.microphone.release_on_lock:
                await self._watch_lock(connection)
            else:
                serving.append(tasks.create_task(self._watch_lock(connection), name="screen lock"))
            if self._sound is not None:
                self._sound.start()
            self._microphone.start(awaiting_view=self._sound is not None)
            interval_s = watchdog_interval_s()
            if interval_s is not None:
                serving.append(tasks.create_task(self._vitals.run(interval_s), name="vitals"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._capture_tried.wait(), CAPTURE_TRIED_S)
            self._announcer = announcer
            self._pipeline.announce_to(announcer)
            self._files.announce_to(announcer)
            bus = await connection.bus_id()
            spool = open_spool(bus, self._recognition.tell_error)
            if spool is not None:
                self._pipeline.keep_in(spool)
            if (last := self._past.carried.get(LAST)) and self._past.carried.get(BUS) == bus:
                self._pipeline.resume_last(last)
            await service.own_name()
            self._tell()
            self._notifier.ready()
            log.info("ready")
            if spool is not None:
                self._recovery = self._finish_what_was_left(spool, bus, connection, announcer)
                serving.append(tasks.create_task(self._recovery.run(), name="recovery"))
            serving.append(tasks.create_task(self._renew(service), name="replacement"))

            await self._stop.wait()

            await self._end(connection, spool)
            for task in serving:
                task.cancel()
        if not self._renewing:
            return None
        self._notifier.watchdog()
        heard_s = self._last_frame_s if self._heard_to_the_end else None
        now_s = asyncio.get_running_loop().time()
        return self._past.next(now_s, heard_s, self._carried(bus), counted=not self._is_replaced_for_rest())

    def _microphone_hangs(self) -> bool:
        """Whether a device call has hung for so long that only a new process can open the microphone again."""
        hanging_s = self._capture.hanging_s(asyncio.get_running_loop().time())
        return hanging_s >= HANGING_QUIETS * self._settings.replacement.quiet_s

    def _is_replaced_for_rest(self) -> bool:
        """Whether a new process is wanted after a sleep or a rest alone, which is no fault and needs no pause."""
        return (self._recognition.slept or self._recognition.resting) and not self._microphone_hangs()

    def _controls(self) -> Controls:
        return Controls(
            self._pipeline,
            self._engine,
            self._files,
            self._microphone,
            problems=(self._recognition, self._microphone, self._outcomes, self._pipeline),
        )

    def _carried(self, bus: str) -> dict[str, Any]:
        """What a new process in our place goes on with."""
        chosen = self._microphone.selection
        return {
            **({DEVICE: chosen} if chosen != self._device else {}),
            METRICS: self._metrics.carried(self._engine.uptime_s),
            NOTICE: asdict(self._noticed),
            BUS: bus,
            LAST: self._pipeline.last_carried(),
            RESTING: self._recognition.resting,
            NO_WORDS: self._outcomes.without_words,
            USABLE: self._recognition.status.usable_providers,
        }

    async def _load(self, units: Units) -> None:
        await self._recognition.load()
        await have_prepared(self._settings.model, lambda: units)
        while True:
            await self._model_changed.wait()
            self._model_changed.clear()
            await have_prepared(self._settings.model, lambda: units)

    async def _watch_lock(self, connection: Connection) -> None:
        """Follow the screen lock from the moment at which a setting asks for it."""
        await self._lock_wanted.wait()
        with contextlib.suppress(BusUnavailable):  # wait_for_disconnect reports it
            await ScreenLock(connection, self._on_lock).watch()

    async def _end(self, connection: Connection, spool: Spool | None) -> None:
        """Everything that was opened is closed; for a new process only what it could not take over."""
        log.info("making way for a new process" if self._renewing else "stopping")
        if not self._renewing:
            self._notifier.stopping()
        self._engine.close()
        self._files.close()
        await self._pipeline.shutdown(TEXTS_AT_STOP_S)
        if self._sound is not None:
            self._sound.close()
        self._heard_to_the_end = self._microphone.device_open
        await self._capture.close(CAPTURE_AT_STOP_S)
        self._recognition.close()
        self._card.close()
        await connection.aclose()
        if spool is not None:
            if not self._renewing:
                spool.clear()
            spool.close()

    def _finish_what_was_left(self, spool: Spool, bus: str, connection: Connection, announcer: BusAnnouncer) -> Replay:
        async def is_here(session: SpooledSession) -> bool:
            return session.bus == bus and await connection.is_connected(session.caller)

        given_up = spool.given_up()
        if given_up is not None and (given_up[0].bus == bus or not given_up[0].options.private):
            self._pipeline.keep_for_retry(*given_up)
        return Replay(
            spool.leftovers(),
            self._recognition,
            announcer,
            is_here=is_here,
            next_number=self._pipeline.next_utterance,
            keep=self._pipeline.keep_for_retry,
        )

    def _busy_until_s(self) -> float:
        recovered = self._recovery is None or self._recovery.idle
        idle = recovered and self._recognition.idle and self._files.idle and self._sleep.awake
        return self._pipeline.busy_until_s if idle else math.inf

    async def _renew(self, service: BusService) -> None:
        """End this process for a new one, at a moment at which no call is lost by it."""
        while True:
            await self._replacement.moment()
            await service.release_name()
            if self._replacement.possible(asyncio.get_running_loop().time()):
                break
            await service.own_name()  # one of the last calls began a session
        self._renewing = True
        self._stop.set()

    def _end_for_good(self) -> None:
        """Also where a new process was about to take our place."""
        self._renewing = False
        self._stop.set()

    def _on_item(self, item: Frame | Gap) -> None:
        if isinstance(item, Frame):
            self._last_frame_s = asyncio.get_running_loop().time()
            if self._unheard:
                self._unheard = False
                self._tell_of_renewal(self._last_frame_s)
        self._pipeline.on_item(item)

    def _tell_of_renewal(self, now_s: float) -> None:
        heard_s = self._past.last_frame_s
        blind = f"the microphone went unheard for {now_s - heard_s:.2f} s" if heard_s else "the microphone was closed"
        log.info("in the place of an earlier process, number %d in a row: %s", self._past.replacements, blind)

    def _on_capture(self, state: CaptureState) -> None:
        if state.condition in {CaptureCondition.OPEN, CaptureCondition.LOST}:
            self._capture_tried.set()
            self._pipeline.on_capture(state.condition is CaptureCondition.OPEN, state.reason)
        elif state.condition is CaptureCondition.CLOSED:
            self._pipeline.on_closed()
        self._tell()

    def _supervise(self, settings: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
        return Supervisor(
            ladder(settings, free_bytes=self._card.free_bytes),
            engine_at_start(settings),
            on_change,
            self._metrics,
            self._card,
        )

    def _on_provider_changed(self, before: str, after: str, reason: str) -> None:
        if self._announcer is not None:
            self._announcer.provider_changed(before, after, reason)

    def _use_settings(self, fresh: Settings) -> tuple[str, ...]:
        """Put all but the model in force, which is there already. Returns the names of those that wait for a restart."""
        before, self._settings = self._settings, fresh
        self._pipeline.use_settings(
            endpoint=fresh.endpoint,
            settings=fresh.dictation,
            pre_roll_ms=fresh.microphone.pre_roll_ms,
            log_text=fresh.log.spoken_text,
        )
        in_force = self._use_device(fresh.microphone)
        self._microphone.use_settings(replace(fresh.microphone, device=self._device))
        self._use_lock(fresh.microphone.release_on_lock)
        self._channels.use(channels.parse(fresh.microphone.channel))
        self._card.use_settings(fresh.gpu)
        self._replacement.use_settings(fresh.replacement)
        if fresh.model != before.model:
            self._model_changed.set()
        logging.getLogger().setLevel(fresh.log.level.upper())
        self._tell()
        return () if in_force else ("microphone.device",)

    def _use_device(self, fresh: MicrophoneSettings) -> bool:
        """Take over the device of the settings, unless that takes a restart: then return False."""
        before, virtual = self._device, fresh.device.startswith(VIRTUAL)
        if virtual != before.startswith(VIRTUAL):
            return False
        self._device = fresh.device
        if virtual and fresh.device != before:
            self._capture.use(open_microphone(fresh))
        return True

    def _use_lock(self, release: bool) -> None:
        """Release the microphone while the screen is locked, or no longer; a lock that holds now counts."""
        if release:
            self._lock_wanted.set()
        if self._locked:
            self._release_for_lock(release)

    def _on_hearing(self, hearing: bool) -> None:
        """A session begins to need the microphone, or has heard all."""
        if hearing:
            self._card.needed()
        self._capture.attend(hearing)
        self._microphone.on_hearing(hearing)

    def _on_rest(self, obstacle: str) -> None:
        """The microphone is closed by policy; the obstacle says why it can't be opened for a session either."""
        self._capture_tried.set()
        if obstacle:
            self._pipeline.on_capture(False, obstacle)
        else:
            self._pipeline.on_release()

    def _on_lock(self, locked: bool) -> None:
        self._locked = locked
        if self._settings.microphone.release_on_lock:
            log.info("screen %s", "locked" if locked else "unlocked")
            self._release_for_lock(locked)

    def _release_for_lock(self, locked: bool) -> None:
        if locked:
            self._pipeline.on_screen_lock()
        self._microphone.on_lock(locked)

    async def _put_away(self) -> None:
        """The machine is about to sleep: what is under way gets a moment to end; what doesn't comes after the wake."""
        self._pipeline.on_suspend()
        self._microphone.on_sleep(True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TEXTS_AT_SLEEP_S):
                await self._pipeline.drained()
        await self._recognition.suspend()
        await self._microphone.released()

    def _resume(self) -> None:
        self._recognition.wake()
        self._pipeline.on_wake()
        self._microphone.on_sleep(False)
        self._tell()

    def _tell(self) -> None:
        """Something that clients or `systemctl status` show may have changed."""
        if self._announcer is not None:
            self._announcer.state_changed()
            self._notify(self._announcer)
        self._notifier.status(status_line(self._pipeline.state, self._recognition.status, self._capture.state))

    def _notify(self, announcer: BusAnnouncer) -> None:
        """Tell people on their desktop what has become slower."""
        now_s = asyncio.get_running_loop().time()
        self._noticed, notice_ = failover_notice.step(self._noticed, self._recognition.status, now_s)
        if notice_ is not None and self._settings.notifications.provider:
            announcer.notify(notice_)

    def _notify_of_session(self, shown: failover_notice.Notice) -> None:
        if self._announcer is not None and self._settings.notifications.no_words:
            self._announcer.notify(shown)


def status_line(state: State, engine: EngineStatus, capture: CaptureState) -> str:
    """What `systemctl --user status` shows. Never spoken text."""
    if capture.condition is CaptureCondition.CLOSED:
        microphone = "microphone closed"
    else:
        microphone = f"microphone {capture.microphone}" if capture.microphone else "no microphone"
    if capture.reason:
        microphone += f" ({capture.reason})"
    if engine.ready:
        model = f"{engine.model} {engine.precision} on {engine.provider.removesuffix('ExecutionProvider').lower()}"
    elif engine.loading:
        model = f"{engine.model} is being loaded"
    elif engine.progress >= 0:
        model = f"{engine.model} is being fetched, {engine.progress:.0%}"
    else:
        model = f"no model: {engine.last_error}"
    return f"{state}; {microphone}; {model}"


def open_spool(bus: str, tell: Callable[[str], None]) -> Spool | None:
    """Where sessions are kept for the case of a crash; None, told, where that can't be."""
    runtime = runtime_directory()
    if runtime is None:
        if base_directories.RUNTIME in base_directories.ignored():
            tell(
                f"{base_directories.RUNTIME} is no absolute path and is ignored: dictation goes on, but a crash would lose what is "
                "not yet text."
            )
        else:
            log.info(
                "no runtime directory is given ($RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR): a crash loses what is being said"
            )
        return None
    try:
        return Spool(runtime / "spool", bus, tell)
    except OSError as error:
        reason = "another coldvoxd uses it" if isinstance(error, BlockingIOError) else error.strerror
        tell(
            f"What is said can't be kept in {error.filename or runtime} ({reason}): dictation goes on, but a crash would "
            "lose what is not yet text."
        )
        return None


def open_microphone(settings: MicrophoneSettings) -> Microphone:
    """The microphone that the settings name, not yet opened."""
    if settings.device.startswith(VIRTUAL):
        return VirtualMicrophone(Path(settings.device.removeprefix(VIRTUAL)))
    return PortAudioMicrophone(settings)


def first_number() -> int:
    """Where session and utterance numbers begin: past all that an earlier process of this login gave out.

    Taken from the clock that neither stands still nor goes back between two boots, so nothing has to be stored.
    """
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * NUMBERS_A_SECOND) + 1


@contextlib.asynccontextmanager
async def _signals_handled(stop: Callable[[], None], reload: Callable[[], None]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
