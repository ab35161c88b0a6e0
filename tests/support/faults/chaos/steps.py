"""The steps of a chaos run, executed on the stage."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable

from coldvoxd.bus.interface_xml import ENGINE
from tests.support.bus.private_bus import BusError
from tests.support.faults import supervision
from tests.support.faults.chaos.ledger import HEARD_S, Obstacle
from tests.support.faults.chaos.microphone import RECOVERED_S, MicrophoneSteps, now_s
from tests.support.faults.chaos.plan import CHECKPOINT, Source, Step
from tests.support.faults.chaos.sessions import SessionSteps
from tests.support.faults.chaos.stage import GONE, Stage, held
from tests.support.faults.filesystem import fill, make_room

PENDING_MS = 4000
"""Milliseconds for which a recognition hangs before the daemon is killed: more than a pause plus HEARD_S."""


class Steps:
    """Call `perform` for each step; `faults` lists the daemon's errors."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ledger = stage.ledger
        self.faults: list[str] = []
        self.deaths = 0
        """Ends of the daemon's process caused by steps."""
        self.held: dict[Source, list[tuple[int, int]]] = {}
        """Descriptors and threads at each checkpoint, by the microphone in use, since each kind needs different
        ones."""
        self.microphone = MicrophoneSteps(stage, self.faults)
        self.sessions = SessionSteps(stage, self.microphone, self.faults)
        self._full = False
        self._cpu_faults = False
        """Whether the recognizer on the CPU received a fault command since the last checkpoint."""
        self._unkept: set[int] = set()
        """Sessions with audio heard while the spool had no room."""
        self._forgotten: set[int] = set()
        """Those of them whose process died: the next one does not know them and publishes no end."""
        self._acts: dict[str, Callable[[Step], Awaitable[None]]] = {
            CHECKPOINT: self._check,
            **self.sessions.acts,
            **self.microphone.acts,
            "pause": lambda step: asyncio.sleep(step.lasts_s),
            "provider fault": self._provider_fault,
            "slow subscriber": lambda _: stage.subscribe_slowly(),
            "subscriber leaves": lambda _: stage.leave_slowly(),
            "runtime directory full": self._fill,
            "room in the runtime directory": self._make_room,
            "reload with broken settings": self._break_settings,
            "settings repaired": self._repair_settings,
            "reload": self._reload,
            "daemon stopped": self._stop_process,
            "daemon stopped until the watchdog": self._starve,
            "daemon killed": self._kill,
            "daemon killed with text pending": self._kill_with_text_pending,
            "daemon restarted": self._restart,
            "other microphone": self._other_microphone,
            "bus gone": self._lose_bus,
            "bus stopped": self._stop_bus,
        }

    async def perform(self, step: Step) -> None:
        """Execute a step. Raises AssertionError if the daemon does not recover."""
        await asyncio.sleep(step.after_s)
        await self._acts[step.name](step)
        self.stage.check_speaker()
        self._note_unkept()
        self._judge_process()

    # Accelerator, settings, runtime directory.

    async def _provider_fault(self, step: Step) -> None:
        self._cpu_faults = self._cpu_faults or step.choice.startswith("CPU")
        await self.stage.tell("gpu", step.choice)

    async def _fill(self, _: Step) -> None:
        fill(self.stage.runtime)
        self._full = True
        self._note_unkept()

    async def _make_room(self, _: Step) -> None:
        self._note_unkept()
        make_room(self.stage.runtime)
        self._full = False

    def _note_unkept(self) -> None:
        """Record the session: a spool without room keeps no more of it, as documented."""
        if self._full and self.stage.session:
            self._unkept.add(self.stage.session)

    async def _break_settings(self, step: Step) -> None:
        self.stage.write_settings(broken=step.choice)
        try:
            await self.stage.call("Reload", interface=ENGINE)
        except BusError as error:
            reason = error.name.rpartition(".")[2]
            if reason not in (*GONE, "InvalidOption", "Timeout"):
                self.faults.append(f"Reload of broken settings: {error}")
        else:
            self.faults.append(f"Reload accepted broken settings: {step.choice!r}")

    async def _repair_settings(self, _: Step) -> None:
        self.stage.write_settings()
        self.stage.start_again()

    async def _reload(self, _: Step) -> None:
        try:
            await self.stage.call("Reload", interface=ENGINE)
        except BusError as error:
            allowed = [*GONE, "Timeout"]
            allowed += ["InvalidOption"] if self.stage.settings_broken else []
            allowed += ["NotReady", "Failed"] if self._cpu_faults else []  # the trial of the reloaded model met a fault
            if error.name.rpartition(".")[2] not in allowed:
                self.faults.append(f"Reload: {error}")

    # The process.

    async def _stop_process(self, step: Step) -> None:
        watched = await self.microphone.watch(step)
        async with supervision.stopped(self.stage.daemon):
            await asyncio.sleep(step.lasts_s)
        await watched.end(must_report=False)

    async def _starve(self, step: Step) -> None:
        daemon = self.stage.daemon
        if not daemon.pid:
            return
        starved = daemon.starved
        obstacle = self._about_to_die(step)
        daemon.send(signal.SIGSTOP)
        obstacle.ended_s = now_s()
        async with asyncio.timeout(3 * supervision.WATCHDOG_S):
            while daemon.starved == starved:
                await asyncio.sleep(0.05)

    async def _kill(self, step: Step) -> None:
        daemon = self.stage.daemon
        exits = len(daemon.exits)
        if not daemon.pid:
            return
        obstacle = self._about_to_die(step)
        daemon.send(signal.SIGKILL)
        while len(daemon.exits) == exits:
            await asyncio.sleep(0.01)
        obstacle.ended_s = now_s()

    async def _kill_with_text_pending(self, step: Step) -> None:
        """Kill the daemon while a whole sentence is being recognized: the next process must publish its text."""
        if not self.microphone.away and await self.sessions.begin():
            said = len(self.ledger.sentences)
            for recognizer in ("", "CPU "):
                await self.stage.tell("gpu", f"{recognizer}HANG {PENDING_MS}")
            if await self.sessions.sentence(said):
                await asyncio.sleep(HEARD_S + 0.1)
        await self._kill(step)

    def _about_to_die(self, step: Step) -> Obstacle:
        """Prepare for SIGKILL or SIGABRT: heard audio is in the spool, unless there was no room for it."""
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self.deaths += 1
        self._excuse("runtime directory full", self._unkept)
        self._forgotten |= self._unkept
        self.sessions.forget()
        return obstacle

    def _strike(self, step: Step) -> Obstacle:
        return self.ledger.open(step.name, now_s())

    def _excuse(self, why: str, sessions: Iterable[int]) -> None:
        for session in sessions:
            self.ledger.excuse_unpublished(session, why, self.stage.signals)

    async def _restart(self, step: Step) -> None:
        """Restart the daemon as `systemctl restart` does."""
        daemon = self.stage.daemon
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self.sessions.forget()
        self.deaths += bool(daemon.pid)
        await daemon.stop()
        obstacle.ended_s = now_s()
        await self.stage.settle()
        self._excuse(step.name, self.stage.sessions)
        daemon.start()

    async def _other_microphone(self, step: Step) -> None:
        stage = self.stage
        await self.microphone.mend_all()
        stage.source = Source.VIRTUAL if stage.source is Source.SERVER else Source.SERVER
        stage.write_settings()
        await self._restart(step)

    # The bus.

    async def _lose_bus(self, step: Step) -> None:
        """Kill the bus with all connections and start another; the daemon must return on it by itself."""
        stage, daemon = self.stage, self.stage.daemon
        exits = len(daemon.exits)
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self.sessions.forget()
        running = bool(daemon.pid)
        await stage.leave_slowly()
        async with held(daemon):
            stage.bus.kill()
            if running:
                async with asyncio.timeout(RECOVERED_S):
                    while len(daemon.exits) == exits:
                        await asyncio.sleep(0.02)
                self.deaths += 1
            obstacle.ended_s = now_s()
            self._excuse(step.name, stage.sessions)
            self._forgotten |= self._unkept
            await stage.revive_bus()

    async def _stop_bus(self, step: Step) -> None:
        self.stage.bus.freeze()
        await asyncio.sleep(step.lasts_s)
        self.stage.bus.thaw()

    # The checks.

    async def _check(self, step: Step) -> None:
        """End all faults; then all must be well, a sentence must be recognized, and every sentence accounted for."""
        stage = self.stage
        stage.bus.thaw()
        await self.microphone.mend_all()
        await self._make_room(step)
        await stage.leave_slowly()
        if self.stage.settings_broken:
            await self._repair_settings(step)
        await self.sessions.stop(Step("stop", 0.0))
        await stage.until(stage.is_ready, "normal service after all faults have ended", RECOVERED_S)
        await self.sessions.dictate()
        await stage.until(stage.is_well, "an empty list of problems after a dictation", RECOVERED_S)
        await stage.until(self._all_ended, "the end of each session")
        await stage.settle()
        late = {signal.body[0] for signal in stage.signals if signal.member == "Transcribed"} - {*stage.sessions}
        self.faults += [f"session {number} published text after its end" for number in sorted(late)]
        self.faults += self.ledger.close(stage.signals)
        stage.forget_signals()
        self._cpu_faults = False
        self._unkept.clear()
        self._forgotten.clear()
        pid = stage.daemon.pid
        self.held.setdefault(stage.source, []).append((supervision.descriptors(pid), supervision.threads(pid)))

    async def _all_ended(self) -> bool:
        return all(self.stage.ended(number) for number in self.stage.sessions if number not in self._forgotten)

    def _judge_process(self) -> None:
        daemon = self.stage.daemon
        ends = [code for code in daemon.exits if code != 78 or not self.stage.broke_settings]
        if len(ends) > self.deaths:
            self.faults.append(f"the daemon ended by itself; exit codes: {daemon.exits}")
            self.deaths = len(ends)
        if daemon.slow_stops:
            self.faults.append(f"SIGTERM did not end the daemon within {supervision.STOP_S:g} s")
            daemon.slow_stops = 0
