"""The steps of a chaos run that start, use and end dictation sessions."""

import asyncio
from collections.abc import Awaitable, Callable

from coldvoxd.bus.interface_xml import DICTATION
from tests.support.bus.private_bus import BusError
from tests.support.daemon.published import plain, texts_of
from tests.support.faults.chaos.microphone import RECOVERED_S, MicrophoneSteps, now_s
from tests.support.faults.chaos.plan import Step
from tests.support.faults.chaos.stage import GONE, PAUSE_S, Stage

LONGEST_SENTENCE_S = 5.0


class SessionSteps:
    """`acts` by the names of steps. The daemon's errors are added to `faults`."""

    def __init__(self, stage: Stage, microphone: MicrophoneSteps, faults: list[str]) -> None:
        self.stage = stage
        self.ledger = stage.ledger
        self.microphone = microphone
        self.faults = faults
        self.acts: dict[str, Callable[[Step], Awaitable[None]]] = {
            "say": self._say,
            "stop": self.stop,
            "cancel": self._cancel,
        }

    async def _say(self, _: Step) -> None:
        """Wait until another sentence was spoken, in a session if one can start."""
        stage = self.stage
        if stage.spoken_of_session >= 15 and stage.session:
            await self.stop(Step("stop", 0.0))
        if not await self.begin():
            return
        await self.sentence(len(self.ledger.sentences))

    async def sentence(self, number: int) -> bool:
        """Wait until the ledger's sentence with that index was spoken; False if the session ends or after 8 s."""
        deadline_s = now_s() + 8.0
        while now_s() < deadline_s and not self.stage.ended(self.stage.session):
            if len(self.ledger.sentences) > number and self.ledger.sentences[number].ended_s < float("inf"):
                return True
            await asyncio.sleep(0.02)
        return False

    async def begin(self) -> bool:
        """Start a session if none runs; return whether one runs. Without an active fault one must start."""
        stage = self.stage
        if stage.session and not stage.ended(stage.session):
            return True
        if not await self._silence():
            return False
        deadline_s = now_s() + RECOVERED_S
        while (number := await self._begun()) <= stage.last_session:
            if number < 0:
                return False
            stage.start_again()
            assert now_s() < deadline_s, f"no session began within {RECOVERED_S:g} s"
            await asyncio.sleep(0.1)
        stage.begin(number)
        return True

    async def _begun(self) -> int:
        """Return the number of a started session; 0 if there is none so far, and -1 if a fault prevents it."""
        stage = self.stage
        try:
            number = int(await stage.call("StartDictation"))
        except BusError as error:
            self.forget()
            reason = error.name.rpartition(".")[2]
            if (reason == "NoMicrophone" and self.microphone.away) or (stage.settings_broken and stage.daemon.failed):
                return -1
            if reason == "AlreadyActive":  # if it is a new session, the answer to an earlier call was lost
                return int(await stage.get(DICTATION, "Session") or 0)
            if reason not in (*GONE, "NotReady", "NoMicrophone", "Timeout"):
                raise AssertionError(f"StartDictation: {error}") from error
            return 0
        if number <= stage.last_session:
            self.faults.append(f"session {number} began after session {stage.last_session}")
        return number

    async def _silence(self) -> bool:
        """Wait until no speech is left that a new session's pre-roll could include.

        Returns False if a frozen sound server still plays.
        """
        deadline_s = now_s() + RECOVERED_S
        while self.stage.speaking or now_s() - self.stage.silent_since_s < PAUSE_S:
            if self.microphone.away and now_s() > deadline_s - RECOVERED_S + LONGEST_SENTENCE_S:
                return False
            assert now_s() < deadline_s, "a sentence does not end"
            self.stage.check_speaker()
            await asyncio.sleep(0.02)
        return True

    async def stop(self, step: Step) -> None:
        stage, session = self.stage, self.stage.session
        if not session or stage.ended(session):
            return
        obstacle = self.ledger.open(step.name, now_s())
        obstacle.reported.add("session ended")
        self.forget()
        try:
            transcript = str(await stage.call("StopDictation"))
        except BusError as error:
            if error.name.rpartition(".")[2] not in (*GONE, "NotActive", "Timeout"):
                self.faults.append(f"StopDictation of session {session}: {error}")
            return
        finally:
            obstacle.ended_s = now_s()
        await stage.settle()
        published = texts_of(session, stage.signals).joined
        if plain(transcript) != plain(published):
            self.faults.append(
                f"StopDictation of session {session} returned {transcript!r}, and published {published!r}"
            )

    async def _cancel(self, step: Step) -> None:
        stage, session = self.stage, self.stage.session
        if not session:
            return
        obstacle = self.ledger.open(step.name, now_s())
        obstacle.reported.add("session ended")
        self.forget()
        try:
            await stage.call("CancelDictation")
        except BusError as error:
            if error.name.rpartition(".")[2] not in (*GONE, "NotActive", "Timeout"):
                self.faults.append(f"CancelDictation of session {session}: {error}")
        obstacle.ended_s = now_s()
        self.ledger.excuse_unpublished(session, step.name, stage.signals)

    def forget(self) -> None:
        self.stage.session = 0

    async def dictate(self) -> None:
        """Dictate one sentence without faults; check that its text is the session's."""
        await self.stage.tell("gpu", "WELL")
        said = len(self.ledger.sentences)
        assert await self.begin()
        while len(self.ledger.sentences) <= said or self.ledger.sentences[said].ended_s == float("inf"):
            self.stage.check_speaker()
            await asyncio.sleep(0.02)
        sentence = self.ledger.sentences[said]
        await asyncio.sleep(0.2)
        session = self.stage.session
        self.forget()
        transcript = await self.stage.call("StopDictation")
        if transcript != sentence.sample.heard["fp32"]:
            self.faults.append(
                f"session {session}: {sentence.sample.said!r}, spoken without any fault, became {transcript!r}"
            )
