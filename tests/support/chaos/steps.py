"""The steps of a chaos run, carried out on the stage."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable

from coldvoxd.bus.contract import DICTATION, ENGINE
from tests.support import supervision
from tests.support.bus import BusError
from tests.support.chaos.ledger import Obstacle
from tests.support.chaos.microphone import RECOVERED_S, MicrophoneSteps
from tests.support.chaos.plan import CHECKPOINT, Source, Step
from tests.support.chaos.stage import GONE, PAUSE_S, Stage, held
from tests.support.filesystem import fill, make_room
from tests.support.published import texts_of

LONGEST_SENTENCE_S = 5.0


class Steps:
    """`perform` each step; `faults` has what the daemon did wrong."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.ledger = stage.ledger
        self.faults: list[str] = []
        self.deaths = 0
        """Ends of the daemon's process that steps caused."""
        self.held: dict[Source, list[tuple[int, int]]] = {}
        """Descriptors and threads at each checkpoint, by the microphone in use, each kind of which needs its own."""
        self.microphone = MicrophoneSteps(stage, self.faults)
        self._full = False
        self._cpu_faults = False
        """Whether the recognizer on the CPU was told to fail since the last checkpoint."""
        self._unkept: set[int] = set()
        """Sessions of which something was heard while the spool had no room."""
        self._forgotten: set[int] = set()
        """Those of them whose process died: the next one knows nothing of them and publishes no end."""
        self._acts: dict[str, Callable[[Step], Awaitable[None]]] = {
            CHECKPOINT: self._check,
            "say": self._say,
            "pause": self._pause,
            "stop": self._stop,
            "cancel": self._cancel,
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
            "daemon restarted": self._restart,
            "other microphone": self._other_microphone,
            "bus gone": self._lose_bus,
            "bus stopped": self._stop_bus,
            **self.microphone.acts,
        }

    async def perform(self, step: Step) -> None:
        """Raises AssertionError where the daemon does not come back."""
        await asyncio.sleep(step.after_s)
        await self._acts[step.name](step)
        self.stage.check_speaker()
        self._note_unkept()
        self._judge_process()

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    # Sessions.

    async def _say(self, _: Step) -> None:
        """Until one more sentence was spoken, in a session where one can begin."""
        stage = self.stage
        if stage.spoken_of_session >= 15 and stage.session:
            await self._stop(Step("stop", 0.0))
        if not await self._in_session():
            return
        said = len(self.ledger.sentences)
        deadline_s = self.now_s() + 8.0
        while self.now_s() < deadline_s and not stage.ended(stage.session):
            if len(self.ledger.sentences) > said and self.ledger.sentences[said].ended_s < float("inf"):
                return
            await asyncio.sleep(0.02)

    async def _in_session(self) -> bool:
        """Begin a session where none runs; whether one runs. Where nothing is in the way one must begin."""
        stage = self.stage
        if stage.session and not stage.ended(stage.session):
            return True
        if not await self._silence():
            return False
        deadline_s = self.now_s() + RECOVERED_S
        while (number := await self._begun()) <= stage.last_session:
            if number < 0:
                return False
            assert self.now_s() < deadline_s, f"no session began within {RECOVERED_S:g} s"
            await asyncio.sleep(0.1)
        stage.begin(number)
        return True

    async def _begun(self) -> int:
        """The number of a session that has begun; 0 where none has so far, and -1 where a fault is in the way."""
        stage = self.stage
        try:
            number = int(await stage.call("StartDictation"))
        except BusError as error:
            self._forget_session()
            reason = error.name.rpartition(".")[2]
            if (reason == "NoMicrophone" and self.microphone.away) or (stage.settings_broken and stage.daemon.failed):
                return -1
            if reason == "AlreadyActive":  # where it is a new one, the answer to an earlier call was lost
                return int(await stage.get(DICTATION, "Session") or 0)
            if reason not in (*GONE, "NotReady", "NoMicrophone", "Timeout"):
                raise AssertionError(f"StartDictation: {error}") from error
            return 0
        if number <= stage.last_session:
            self.faults.append(f"session {number} began after session {stage.last_session}")
        return number

    async def _silence(self) -> bool:
        """Until nothing is spoken that a new session could reach back to; False where a frozen sound server still plays."""
        deadline_s = self.now_s() + RECOVERED_S
        while self.stage.speaking or self.now_s() - self.stage.silent_since_s < PAUSE_S:
            if self.microphone.away and self.now_s() > deadline_s - RECOVERED_S + LONGEST_SENTENCE_S:
                return False
            assert self.now_s() < deadline_s, "a sentence does not end"
            self.stage.check_speaker()
            await asyncio.sleep(0.02)
        return True

    async def _pause(self, step: Step) -> None:
        await asyncio.sleep(step.lasts_s)

    async def _stop(self, step: Step) -> None:
        stage, session = self.stage, self.stage.session
        if not session or stage.ended(session):
            return
        obstacle = self._strike(step)
        obstacle.reported.add("session ended")
        self._forget_session()
        try:
            transcript = str(await stage.call("StopDictation"))
        except BusError as error:
            if error.name.rpartition(".")[2] not in (*GONE, "NotActive", "Timeout"):
                self.faults.append(f"StopDictation of session {session}: {error}")
            return
        finally:
            obstacle.ended_s = self.now_s()
        await stage.settle()
        if transcript != (published := texts_of(session, stage.signals).joined):
            self.faults.append(
                f"StopDictation of session {session} returned {transcript!r}, and published {published!r}"
            )

    async def _cancel(self, step: Step) -> None:
        stage, session = self.stage, self.stage.session
        if not session:
            return
        obstacle = self._strike(step)
        obstacle.reported.add("session ended")
        self._forget_session()
        try:
            await stage.call("CancelDictation")
        except BusError as error:
            if error.name.rpartition(".")[2] not in (*GONE, "NotActive", "Timeout"):
                self.faults.append(f"CancelDictation of session {session}: {error}")
        obstacle.ended_s = self.now_s()
        self.ledger.excuse_unpublished(session, step.name, stage.signals)

    def _forget_session(self) -> None:
        self.stage.session = 0

    def _strike(self, step: Step) -> Obstacle:
        return self.ledger.open(step.name, self.now_s())

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
        """A spool that had no room keeps nothing more of that session: so it says, and so it is held to."""
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
        self.stage.daemon.start()  # a process that was killed meanwhile has found the broken ones

    async def _reload(self, _: Step) -> None:
        try:
            await self.stage.call("Reload", interface=ENGINE)
        except BusError as error:
            allowed = [*GONE, "Timeout"]
            allowed += ["InvalidOption"] if self.stage.settings_broken else []
            allowed += ["NotReady", "Failed"] if self._cpu_faults else []  # the trial of the reloaded model met one
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
        obstacle.ended_s = self.now_s()
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
        obstacle.ended_s = self.now_s()

    def _about_to_die(self, step: Step) -> Obstacle:
        """By SIGKILL or SIGABRT: what was heard is in the spool, unless there was no room for it."""
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self.deaths += 1
        self._excuse("runtime directory full", self._unkept)
        self._forgotten |= self._unkept
        self._forget_session()
        return obstacle

    def _excuse(self, why: str, sessions: Iterable[int]) -> None:
        for session in sessions:
            self.ledger.excuse_unpublished(session, why, self.stage.signals)

    async def _restart(self, step: Step) -> None:
        """As `systemctl restart` does."""
        daemon = self.stage.daemon
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self._forget_session()
        self.deaths += bool(daemon.pid)
        await daemon.stop()
        obstacle.ended_s = self.now_s()
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
        """It dies with all connections; another one comes, and the daemon must come back on it by itself."""
        stage, daemon = self.stage, self.stage.daemon
        exits = len(daemon.exits)
        obstacle = self._strike(step)
        obstacle.reported.add("restarted")
        self._forget_session()
        running = bool(daemon.pid)
        await stage.leave_slowly()
        async with held(daemon):
            stage.bus.kill()
            if running:
                async with asyncio.timeout(RECOVERED_S):
                    while len(daemon.exits) == exits:
                        await asyncio.sleep(0.02)
                self.deaths += 1
            obstacle.ended_s = self.now_s()
            self._excuse(step.name, stage.sessions)
            self._forgotten |= self._unkept
            await stage.revive_bus()

    async def _stop_bus(self, step: Step) -> None:
        self.stage.bus.freeze()
        await asyncio.sleep(step.lasts_s)
        self.stage.bus.thaw()

    # The checks.

    async def _check(self, step: Step) -> None:
        """Mend everything; then all must be well, a sentence must come through, and every sentence must be accounted for."""
        stage = self.stage
        stage.bus.thaw()
        await self.microphone.mend_all()
        await self._make_room(step)
        await stage.leave_slowly()
        if self.stage.settings_broken:
            await self._repair_settings(step)
        await self._stop(Step("stop", 0.0))
        await stage.until(stage.is_well, "normal service after all faults are mended", RECOVERED_S)
        await self._dictate()
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

    async def _dictate(self) -> None:
        """One sentence without any fault; its text is the session's."""
        await self.stage.tell("gpu", "WELL")
        said = len(self.ledger.sentences)
        assert await self._in_session()
        while len(self.ledger.sentences) <= said or self.ledger.sentences[said].ended_s == float("inf"):
            self.stage.check_speaker()
            await asyncio.sleep(0.02)
        sentence = self.ledger.sentences[said]
        await asyncio.sleep(0.2)
        session = self.stage.session
        self._forget_session()
        transcript = await self.stage.call("StopDictation")
        if transcript != sentence.sample.heard["fp32"]:
            self.faults.append(
                f"session {session}: {sentence.sample.said!r}, spoken without any fault, became {transcript!r}"
            )

    def _judge_process(self) -> None:
        daemon = self.stage.daemon
        ends = [code for code in daemon.exits if code != 78 or not self.stage.broke_settings]
        if len(ends) > self.deaths:
            self.faults.append(f"the daemon ended by itself; exit codes: {daemon.exits}")
            self.deaths = len(ends)
        if daemon.slow_stops:
            self.faults.append(f"SIGTERM did not end the daemon within {supervision.STOP_S:g} s")
            daemon.slow_stops = 0
