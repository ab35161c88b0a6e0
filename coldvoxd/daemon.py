"""Life cycle of the daemon: start order, serving and shutdown. `assembly` builds the parts."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict

from coldvoxd.assembly.build import build
from coldvoxd.assembly.parts import Parts
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.service import check_name_free
from coldvoxd.core.recipients import is_readable_on
from coldvoxd.core.settings import Settings
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.crash_recovery.replay import Replay
from coldvoxd.crash_recovery.spool import Spool, open_spool
from coldvoxd.host.exec_state import Carried, ExecState
from coldvoxd.host.systemd import watchdog_interval_s

log = logging.getLogger(__name__)

CAPTURE_TRIED_S = 3.0
"""Seconds to wait for the first attempt to open the microphone before the bus name is requested, so that a call that
activates the daemon finds the microphone open."""
TEXTS_AT_STOP_S = 2.5
CAPTURE_AT_STOP_S = 1.0
"""Together less than the 5 s within which the unit must stop."""


async def run(
    settings: Settings, load_settings: Callable[[], Settings], past: ExecState | None = None
) -> ExecState | None:
    """Connect to the session bus, build the daemon and serve.

    The arguments are those of `build`, the result and the errors those of `Daemon.serve`.
    """
    connection = await Connection.open()
    return await Daemon(build(settings, connection, load_settings, past)).serve()


class Daemon:
    """Starts, serves and stops the daemon. Event loop only; call `serve` once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._stop = asyncio.Event()
        self._renewing = False
        """Whether the daemon is stopping so that a new process can take over."""
        self._open_at_stop = False
        """Whether the microphone was open when the daemon stopped."""

    async def serve(self) -> ExecState | None:
        """Serve until SIGTERM or SIGINT and return None, or until a new process takes over and return the state for it.

        Raises NameTaken, or BusUnavailable when the connection to the bus is lost.
        """
        parts = self._parts
        parts.host.notifier.status("starting")
        await check_name_free(parts.bus.connection)
        async with _signals_handled(self.stop, parts.engine.reload_soon), asyncio.TaskGroup() as tasks:
            serving = self._begin_work(tasks)
            serving += await self._open_microphone(tasks)
            bus = await parts.bus.connection.bus_id()
            spool = self._open_spool(bus)
            await parts.bus.service.own_name()
            parts.host.notifier.ready()
            log.info("ready")
            if spool is not None:
                serving.append(tasks.create_task(self._replay(spool, bus).run(), name="recovery"))
            serving.append(tasks.create_task(self._renew(), name="replacement"))

            await self._stop.wait()

            await self._end(spool)
            for task in serving:
                task.cancel()
        return self._state(bus) if self._renewing else None

    def stop(self) -> None:
        """Stop the daemon without a replacement, even if a new process was about to take over."""
        self._renewing = False
        self._stop.set()

    # Start.

    def _begin_work(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        parts = self._parts
        dispatcher, gpu = parts.recognition.dispatcher, parts.recognition.gpu
        works = {
            "sleep": parts.host.sleep.run(),
            "power": parts.host.battery.run(),
            "bus": parts.bus.connection.wait_until_lost(),
            "recognition": parts.dictation.run(),
            "gpu": gpu.keep(dispatcher),
            "unloading": parts.recognition.unloading.keep(),
            "model": self._load(),
        }
        return [tasks.create_task(work, name=name) for name, work in works.items()]

    async def _load(self) -> None:
        await self._parts.recognition.dispatcher.load()
        await self._parts.recognition.preparation.run()

    async def _open_microphone(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Open the microphone if its policy requires it, and wait up to CAPTURE_TRIED_S for the outcome."""
        audio, host = self._parts.audio, self._parts.host
        serving = []
        if host.lock.wanted:
            await host.lock.begin()  # first: while the screen is locked the microphone must not be opened
        else:
            serving.append(tasks.create_task(host.lock.begin(), name="screen lock"))
        if self._parts.past is not None:
            serving.append(tasks.create_task(self._log_takeover(self._parts.past), name="takeover"))
        if audio.sound is not None:
            audio.sound.start()
        audio.policy.start(awaiting_view=audio.sound is not None)
        interval_s = watchdog_interval_s()
        if interval_s is not None:
            serving.append(tasks.create_task(host.watchdog.run(interval_s), name="watchdog"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CAPTURE_TRIED_S):
                await audio.tried.wait()
        return serving

    async def _log_takeover(self, past: ExecState) -> None:
        await self._parts.audio.opened.wait()
        log.info("%s", past.takeover(asyncio.get_running_loop().time()))

    def _open_spool(self, bus: str) -> Spool | None:
        """Store sessions in the spool from now on, and restore the last utterance of an earlier process."""
        dictation = self._parts.dictation
        spool = open_spool(bus, self._parts.recognition.dispatcher.report_error)
        if spool is not None:
            dictation.keep_in(spool)
        carried = self._parts.carried
        if carried.last_utterance and carried.bus == bus:
            self._parts.last_utterance.resume(carried.last_utterance)
        return spool

    def _replay(self, spool: Spool, bus: str) -> Replay:
        """Return the replay that finishes the sessions that an earlier process left in the spool."""
        parts = self._parts

        async def is_here(session: SpooledSession) -> bool:
            return session.bus == bus and await parts.bus.connection.is_connected(session.caller)

        given_up = spool.given_up()
        if given_up is not None and is_readable_on(bus, given_up[0].bus, given_up[0].options):
            parts.last_utterance.keep_earlier(*given_up)
        interrupted = list(spool.interrupted_sessions())
        if interrupted:
            parts.dictation.note_interrupted(interrupted[-1].number)
        replay = Replay(
            interrupted,
            parts.recognition.dispatcher,
            parts.bus.announcer,
            is_here=is_here,
            next_number=parts.dictation.next_utterance,
            keep=parts.last_utterance.keep_earlier,
            seam_rules=parts.dictation.seam_rules,
        )
        parts.host.activity.follow_idle(lambda: replay.idle)
        return replay

    # Stop.

    async def _renew(self) -> None:
        """Stop for a new process at a moment when no call is lost."""
        service, reexec = self._parts.bus.service, self._parts.host.reexec
        while True:
            await reexec.moment()
            await service.release_name()
            if reexec.possible(asyncio.get_running_loop().time()):
                break
            await service.own_name()  # one of the last calls started a session
        self._renewing = True
        self._stop.set()

    async def _end(self, spool: Spool | None) -> None:
        """Close everything that was opened. For a new process, keep the spool's files."""
        parts = self._parts
        log.info("stopping for the re-execution" if self._renewing else "stopping")
        if not self._renewing:
            parts.host.notifier.stopping()
        parts.engine.close()
        parts.files.close()
        await parts.dictation.shutdown(TEXTS_AT_STOP_S)
        if parts.audio.sound is not None:
            parts.audio.sound.close()
        self._open_at_stop = parts.audio.policy.device_open
        await parts.audio.capture.close(CAPTURE_AT_STOP_S)
        parts.recognition.dispatcher.close()
        parts.recognition.gpu.close()
        await parts.bus.connection.aclose()
        if spool is not None:
            if not self._renewing:
                spool.clear()
            spool.close()

    def _state(self, bus: str) -> ExecState:
        """Return the state for the next process."""
        parts = self._parts
        parts.host.notifier.watchdog()
        dispatcher, policy = parts.recognition.dispatcher, parts.audio.policy
        carried = Carried(
            device=policy.selection if policy.selection != parts.audio.device.in_force else None,
            metrics=parts.metrics.carried(parts.engine.uptime_s),
            notice=asdict(parts.notices.state),
            bus=bus,
            last_utterance=parts.last_utterance.carried(),
            resting=dispatcher.state.accelerator_released,
            without_words=parts.outcomes.without_words,
            usable_providers=tuple(dispatcher.status.usable_providers),
        )
        now_s = asyncio.get_running_loop().time()
        heard_s = parts.audio.capture.last_frame_s if self._open_at_stop else None
        for_rest = parts.host.reexec.is_for_rest(now_s)
        return (parts.past or ExecState()).next(now_s, heard_s, carried.written(), counted=not for_rest)


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
