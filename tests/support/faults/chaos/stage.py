"""The stage of a chaos run: bus, sound server, small runtime directory, the supervised daemon, and a witness."""

import asyncio
import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, ENGINE, MICROPHONE
from coldvoxd.virtual.client import CommandRefused, command
from tests.support.bus.private_bus import DAEMON, BusClient, BusError, PrivateBus, Signal
from tests.support.bus.raw import BUS, RawClient, message, text
from tests.support.eventually import PATIENCE_S
from tests.support.faults.broken_daemon import VARIABLE, Fault
from tests.support.faults.chaos.ledger import Ledger, Sentence
from tests.support.faults.chaos.plan import Source
from tests.support.faults.filesystem import small_file_system
from tests.support.faults.supervision import Supervised
from tests.support.sound.servers import PulseServer
from tests.support.sound.speech import Sample, samples

ROOT = Path(__file__).parents[4]
PAUSE_S = 0.9
"""Seconds between two sentences: more than hangover_ms, so that they are two utterances."""
CALL_S = 25.0
"""Seconds that bus libraries wait for an answer."""
LEAVE_S = 5.0
SENTENCES_A_SESSION = 18
"""Fewer than there are recordings, so that no recording is repeated in a session."""
RUNTIME_MIB = 16
"""Size of the runtime directory in MiB: room for eight minutes of audio."""
SETTINGS = """\
[microphone]
device = "{device}"
[model]
name = "mini"
provider = "virtual:{place}/gpu"
[replacement]
quiet_s = 2.0
cool_down_s = 0.0
"""
GONE = ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected")
"""Last parts of the bus's error names if the daemon is absent, or ends during a call."""


class Witness(BusClient):
    """A client whose list of signals outlives it, since its connection ends with the bus."""

    def __init__(self, address: str, signals: list[Signal]) -> None:
        super().__init__(address)
        self.signals = signals


class Stage:
    """Use `async with Stage(...) as stage`; then the daemon is running and dictation works."""

    def __init__(self, place: Path, source: Source, bus_kind: str = DAEMON, broken: Fault | None = None) -> None:
        """`place` must be a short path, since it contains sockets. `broken` is a deliberate fault of the daemon."""
        self.place = place
        self.source = source
        self.ledger = Ledger()
        self.signals: list[Signal] = []
        self.session = 0
        """Session in which sentences are spoken; 0 for none."""
        self.spoken_of_session = 0
        self.sessions: list[int] = []
        """Sessions started since the ledger was closed."""
        self.last_session = 0
        self.speaking = False
        self.silent_since_s = 0.0
        """On the event loop's clock."""
        self.settings_broken = self.broke_settings = False
        """Whether the settings are broken now, and whether they ever were."""
        self.settings_file = place / "coldvoxd.toml"
        self._broken = broken
        self._bus_kind = bus_kind
        self._stack = contextlib.AsyncExitStack()
        self._numbers = itertools.cycle(range(len(samples())))
        self._players: list[subprocess.Popen[bytes]] = []
        self._slow: RawClient | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._enter()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _enter(self) -> None:
        enter = self._stack.enter_context
        self.runtime = self.place / "run"
        enter(small_file_system(self.runtime, RUNTIME_MIB * 1024))
        sound = self.place / "sound"
        sound.mkdir(mode=0o700)
        self.sound = PulseServer(sound)
        self.sound.start()
        self._stack.callback(self.sound.stop)
        self.bus = enter(PrivateBus(kind=self._bus_kind))
        self.witness = await self.new_witness()
        self._stack.push_async_callback(self._let_witness_go)
        self.write_settings()
        inherited = {
            name: value for name, value in self.sound.environment().items() if not name.startswith("COLDVOXD_")
        }
        environment = inherited | {
            "DBUS_SESSION_BUS_ADDRESS": self.bus.address,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.place}/no-system-bus",
            "RUNTIME_DIRECTORY": str(self.runtime),
            "PYTHONPATH": str(ROOT),
        }
        module = "coldvoxd"
        if self._broken is not None:
            module, environment = "tests.support.faults.broken_daemon", environment | {VARIABLE: self._broken}
        program = (sys.executable, "-m", module, "--config", str(self.settings_file))
        daemon = Supervised(program, environment, self.place, ROOT)
        self.daemon = await self._stack.enter_async_context(daemon)
        self._stack.callback(self.sound.thaw)
        self._stack.callback(self.bus.thaw)
        self._talking = asyncio.create_task(self._talk(), name="speaker")
        self._stack.push_async_callback(self._fall_silent)
        await self.until(self.is_well, "the daemon in service")

    # The daemon's environment.

    @property
    def microphone_socket(self) -> Path:
        return self.place / "mic"

    def write_settings(self, broken: str = "") -> None:
        device = "Blue Yeti" if self.source is Source.SERVER else f"virtual:{self.microphone_socket}"
        sound = SETTINGS.format(device=device, place=self.place)
        self.settings_file.write_text(broken or sound)
        self.settings_broken = bool(broken)
        self.broke_settings = self.broke_settings or self.settings_broken

    async def new_witness(self) -> Witness:
        """Replace the witness by one on the current bus."""
        witness = Witness(self.bus.address, self.signals)
        async with asyncio.timeout(CALL_S):
            await witness.__aenter__()
            await witness.subscribe()
        self.witness = witness
        return witness

    async def _let_witness_go(self) -> None:
        with contextlib.suppress(Exception):  # the bus may be gone, and then the library may wait indefinitely
            async with asyncio.timeout(LEAVE_S):
                await self.witness.leave()

    async def revive_bus(self) -> None:
        """Replace the killed bus by another one, with a witness as its first client."""
        await self._let_witness_go()
        await asyncio.to_thread(self.bus.restart)
        await self.new_witness()

    async def tell(self, stand_in: str, line: str, patience_s: float = CALL_S) -> bool:
        """Send a command to the microphone (`mic`) or the accelerator (`gpu`); return whether it was executed."""
        try:
            await asyncio.to_thread(command, self.place / stand_in, line, timeout_s=patience_s)
        except (OSError, CommandRefused):  # there is no daemon at the moment
            return False
        return True

    async def subscribe_slowly(self) -> None:
        """Connect a client that subscribes to every signal and reads none."""
        self._slow = slow = RawClient(self.bus.address)
        await slow.__aenter__()
        rule = text(f"type='signal',sender='{BUS_NAME}'")
        call = message("AddMatch", interface=BUS, path="/org/freedesktop/DBus", to=BUS, signature="s", body=rule)
        await slow.send(call)

    async def leave_slowly(self) -> None:
        if self._slow is not None:
            await self._slow.__aexit__(None, None, None)
            self._slow = None

    # The clients' view.

    async def call(self, member: str, *arguments: Any, interface: str = DICTATION) -> Any:
        """Call the daemon. Raises BusError, with our own name `Timeout` if there is no answer."""
        signature = "s" * len(arguments)
        try:
            async with asyncio.timeout(CALL_S):
                return await self.witness.call(member, signature, *arguments, interface=interface)
        except TimeoutError:
            raise BusError("Timeout", f"{member} was not answered in {CALL_S:g} s") from None
        except (EOFError, OSError) as error:
            raise BusError("Disconnected", repr(error)) from error

    async def get(self, interface: str, name: str) -> Any:
        """Return a property; None if the daemon is absent."""
        try:
            value = await self.call("Get", interface, name, interface="org.freedesktop.DBus.Properties")
        except BusError as error:
            if error.name.rpartition(".")[2] in (*GONE, "Timeout"):
                return None
            raise
        return value.value

    async def gaps(self) -> int | None:
        """Return the number of audio losses counted by GetMetrics; None if the daemon is absent."""
        try:
            metrics = await self.call("GetMetrics", interface=ENGINE)
        except BusError:
            return None
        return int(sum(metrics["gaps"].value.values()))

    async def problems(self) -> list[str] | None:
        found = await self.get(ENGINE, "Problems")
        return None if found is None else list(found)

    async def hears(self) -> bool:
        """Return whether audio arrives."""
        found = await self.problems()
        if found is None or any(code.startswith("microphone-") for code in found):
            return False
        return bool(await self.get(MICROPHONE, "Open"))

    async def is_ready(self) -> bool:
        """Return whether all is well, except for a problem that only the next dictation clears: `no-words`."""
        state, problems = await self.get(DICTATION, "State"), await self.problems()
        provider = await self.get(ENGINE, "ExecutionProvider")
        served = (state, provider) == ("idle", "VirtualExecutionProvider") and problems in ([], ["no-words"])
        return served and await self.hears()

    async def is_well(self) -> bool:
        """Return whether everything is as on a machine without faults."""
        return await self.problems() == [] and await self.is_ready()

    async def until(self, probe: Any, what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until an awaitable probe returns a true value. Raises AssertionError."""
        deadline_s = time.monotonic() + patience_s
        while not await probe():
            self.start_again()
            if time.monotonic() > deadline_s:
                seen = f"state {await self.get(DICTATION, 'State')}, problems {await self.problems()}"
                raise AssertionError(f"{what} did not come within {patience_s:g} s ({seen})")
            await asyncio.sleep(0.05)

    async def settle(self) -> None:
        """Wait until all messages sent by the daemon so far have been received."""
        with contextlib.suppress(BusError):
            await self.call("Ping", interface="org.freedesktop.DBus.Peer")

    def begin(self, session: int) -> None:
        """Record a started session, in which the speaker speaks."""
        self.session = self.last_session = session
        self.sessions.append(session)
        self.spoken_of_session = 0

    def forget_signals(self) -> None:
        """Forget the signals with which the ledger was closed."""
        self.signals.clear()
        self.sessions.clear()

    def start_again(self) -> None:
        """Start a daemon that ended permanently because of broken settings, once they are repaired, as a user does."""
        if self.daemon.failed and not self.settings_broken:
            self.daemon.start()

    def stopped_by(self, reason: str) -> set[int]:
        """Sessions that ended for that reason, since signals were last forgotten."""
        stops = [signal.body for signal in self.signals if signal.member == "DictationStopped"]
        return {session for session, why, *_ in stops if why == reason}

    def ended(self, session: int) -> bool:
        return any(signal.member == "DictationStopped" and signal.body[0] == session for signal in self.signals)

    # The speaker.

    async def _talk(self) -> None:
        """Speak one sentence after the other while a session is active."""
        while True:
            if not self.session or self.ended(self.session) or self.spoken_of_session >= SENTENCES_A_SESSION:
                await asyncio.sleep(0.02)
                continue
            await self.speak(samples()[next(self._numbers)])
            await asyncio.sleep(PAUSE_S)

    async def speak(self, sample: Sample) -> Sentence:
        loop = asyncio.get_running_loop()
        sentence = Sentence(self.session, sample, loop.time())
        self.ledger.sentences.append(sentence)
        self.spoken_of_session += 1
        self.speaking = True
        try:
            if self.source is Source.SERVER:
                whole = await self._play(sample)
            else:
                whole = await self.tell("mic", f"SPEAK {sample.path}")
        finally:
            self.speaking = False
        self.silent_since_s = loop.time()
        if whole:
            sentence.ended_s = self.silent_since_s
        return sentence

    async def _play(self, sample: Sample) -> bool:
        """Play into the sound server; without a server, wait for the recording's length."""
        began_s = time.monotonic()
        player = self.sound.play_in_background(sample.path)
        self._players.append(player)
        try:
            while player.poll() is None:
                await asyncio.sleep(0.02)
        finally:
            player.kill()
            player.wait()
            self._players.remove(player)
        left_s = len(sample.wave()) / 16_000 - (time.monotonic() - began_s)
        if player.returncode:
            await asyncio.sleep(max(0.0, left_s))
        return not player.returncode

    async def _fall_silent(self) -> None:
        self._talking.cancel()
        await asyncio.gather(self._talking, return_exceptions=True)

    def check_speaker(self) -> None:
        """Raise the speaker's exception if it failed."""
        if self._talking.done():
            self._talking.result()


@contextlib.asynccontextmanager
async def held(daemon: Supervised) -> AsyncIterator[None]:
    """Start no new process within the context."""
    daemon.may_start.clear()
    try:
        yield
    finally:
        daemon.may_start.set()


def forbidden_in_log(log: str) -> Iterator[str]:
    """Yield sentences that the log contains. Spoken text is private."""
    folded = log.casefold()
    for sample in samples():
        if sample.said.casefold().rstrip(".?") in folded:
            yield sample.said
