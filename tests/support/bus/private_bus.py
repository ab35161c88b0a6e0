"""Real private buses, clients of them, and a DictationControl that the test scripts."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pytest

from coldvoxd.bus.announcer import BusAnnouncer
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, OBJECT_PATH
from coldvoxd.bus.library import Message, MessageType
from coldvoxd.bus.service import BusService
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.errors import AlreadyActive, NotActive, NotOwner, UnknownDevice
from coldvoxd.core.file_values import FileOptions
from coldvoxd.core.metrics import Figures, Metrics
from coldvoxd.core.ports import Announcer, Controls, FileControl, Policy
from coldvoxd.core.problems import Problem
from coldvoxd.core.seams import SeamedText
from coldvoxd.core.values import EngineStatus, Hypothesis, SessionOptions, State, StopReason, Transcript, Word
from tests.support.bus import broker
from tests.support.bus.library import MessageBus, close, paused, plain
from tests.support.eventually import eventually, eventually_blocking

_CONFIG = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  {servicedirs}
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_incoming_unix_fds">250000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_outgoing_unix_fds">250000000</limit>
  <limit name="max_message_size">1000000000</limit>
  <limit name="max_completed_connections">100000</limit>
  <limit name="max_names_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">50000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""


DAEMON = "dbus-daemon"
BROKER = broker.PROGRAM
BUSES = [
    pytest.param(DAEMON, id=DAEMON),
    pytest.param(
        BROKER,
        marks=[pytest.mark.heavy, pytest.mark.skipif(not broker.is_installed(), reason="dbus-broker is not installed")],
        id=BROKER,
    ),
]
"""Parameters for fixtures: both implementations of the message bus, the second one in the CI lane only."""


class PrivateBus:
    """A private message bus. Use `with PrivateBus() as bus`, then `bus.address`. Its log is printed at the end."""

    prefix: tuple[str, ...] = ()
    """Prefix of the bus's command line: a program that starts the bus in a separate environment and is replaced by
    it."""

    def __init__(
        self, service_directories: Sequence[Path] = (), *, kind: str = DAEMON, broker_options: Sequence[str] = ()
    ) -> None:
        """`service_directories` hold activation files, which only dbus-daemon supports without systemd."""
        assert kind == DAEMON or not service_directories
        assert kind == BROKER or not broker_options
        self.kind = kind
        self._broker_options = broker_options
        self._service_directories = service_directories
        self._controller: socket.socket | None = None
        self.extra_environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="coldvoxd-bus-"))
        self.address = f"unix:path={self.directory}/bus"
        self._start()
        return self

    def _start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            if self.kind == BROKER:
                self.process, self._controller = broker.start(self.directory / "bus", log, self._broker_options)
            else:
                self.process = self._dbus_daemon(log)
        eventually_blocking(self._is_up, what="the private bus")

    def _dbus_daemon(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        config = self.directory / "bus.conf"
        servicedirs = "".join(f"<servicedir>{directory}</servicedir>" for directory in self._service_directories)
        config.write_text(_CONFIG.format(socket=self.directory / "bus", servicedirs=servicedirs))
        return subprocess.Popen(
            [*self.prefix, DAEMON, f"--config-file={config}", "--nofork", "--nopidfile", "--nosyslog"],
            stdout=log,
            stderr=log,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.thaw()
        self.process.kill()
        self.process.wait()
        if self._controller is not None:
            self._controller.close()
        print(self.log, end="")
        shutil.rmtree(self.directory)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a program that finds this bus as its session bus, no other one, and no system bus."""
        found = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "XDG_RUNTIME_DIR")}
        nowhere = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.directory}/no-system-bus"}
        return found | {"DBUS_SESSION_BUS_ADDRESS": self.address} | nowhere | self.extra_environment

    def kill(self) -> None:
        """Kill the bus, as a crash would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start another bus at the same address, after `kill`; it has no state of the old one."""
        if self._controller is not None:
            self._controller.close()
        (self.directory / "bus").unlink(missing_ok=True)
        self._start()

    def freeze(self) -> None:
        """Stop reading and writing, as a stalled bus would."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.directory / "bus")) == 0


class BusError(Exception):
    """An error reply."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True)
class Signal:
    member: str
    body: list[Any]
    destination: str | None
    interface: str
    signature: str


@dataclass
class Expectation:
    """Result of `expect_signal`; `signal` is set after its context."""

    signal: Signal | None = None

    @property
    def body(self) -> list[Any]:
        assert self.signal is not None
        return self.signal.body


class BusClient:
    """Another program on the bus, by the plain library. Use `async with BusClient(address) as client`."""

    def __init__(self, address: str) -> None:
        self._bus = MessageBus(bus_address=address, negotiate_unix_fd=True)
        self.signals: list[Signal] = []
        """All signals delivered to this client, oldest first."""

    async def __aenter__(self) -> Self:
        await self._bus.connect()
        self._bus.add_message_handler(self._note)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    @property
    def name(self) -> str:
        return str(self._bus.unique_name)

    async def leave(self) -> None:
        """Leave the bus, as a program that ends does."""
        await close(self._bus)

    def deaf(self) -> AbstractContextManager[None]:
        """Return a context in which this client reads nothing."""
        return paused(self._bus)

    async def call(
        self,
        member: str,
        signature: str = "",
        *body: object,
        interface: str | None = DICTATION,
        destination: str = BUS_NAME,
        path: str = OBJECT_PATH,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """Return the first value of the answer. Raises BusError. Descriptors are indices in the body.

        The call has no interface if it is None.
        """
        reply = await self._bus.call(
            Message(
                destination=destination,
                path=path,
                interface=interface,  # type: ignore[arg-type]  # the library's annotation omits None
                member=member,
                signature=signature,
                body=list(body),
                unix_fds=list(descriptors),
            )
        )
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise BusError(reply.error_name, reply.body[0])
        return plain(reply.body[0]) if reply.body else None

    def call_and_forget(self, member: str, signature: str = "", *body: object) -> None:
        """Send a call without waiting for an answer."""
        self._bus.send(
            Message(
                destination=BUS_NAME,
                path=OBJECT_PATH,
                interface=DICTATION,
                member=member,
                signature=signature,
                body=list(body),
            )
        )

    def signal_to(self, client: str, member: str, signature: str, *body: object) -> None:
        """Send one client a signal that imitates the daemon's."""
        message = Message.new_signal(OBJECT_PATH, DICTATION, member, signature, list(body))
        message.destination = client
        self._bus.send(message)

    async def get(self, interface: str, name: str) -> Any:
        value = await self.call("Get", "ss", interface, name, interface="org.freedesktop.DBus.Properties")
        return value.value

    async def subscribe(self, *members: str) -> None:
        """Subscribe to these signals of the daemon, or to all without arguments."""
        for rule in [f",member='{member}'" for member in members] or [""]:
            await self.call(
                "AddMatch",
                "s",
                f"type='signal',sender='{BUS_NAME}'{rule}",
                interface="org.freedesktop.DBus",
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
            )

    async def settle(self) -> None:
        """Return when all messages that the daemon has sent to this client so far have been received."""
        await self.call("Ping", interface="org.freedesktop.DBus.Peer")

    def bodies(self, member: str) -> list[list[Any]]:
        """Return the bodies of all signals of that name so far."""
        return [signal.body for signal in self.signals if signal.member == member]

    @asynccontextmanager
    async def expect_signal(
        self, member: str, where: Callable[[list[Any]], bool] = lambda _: True
    ) -> AsyncIterator[Expectation]:
        """Expect this signal as an effect of the context's body, before or after its end."""
        seen = len(self.signals)
        expectation = Expectation()

        def found() -> Signal | None:
            matching = (s for s in self.signals[seen:] if s.member == member and where(s.body))
            return next(matching, None)

        yield expectation
        expectation.signal = await eventually(found, what=f"the signal {member}")

    def _note(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and message.sender != "org.freedesktop.DBus":
            self.signals.append(
                Signal(message.member, plain(message.body), message.destination, message.interface, message.signature)
            )


@dataclass
class ScriptedMicrophone:
    """A MicrophoneControl of two microphones; the test may set any other values."""

    device: str = "Blue Yeti"
    selection: str = "default"
    devices: tuple[tuple[str, str], ...] = (("mic1", "Blue Yeti"), ("mic2", "Built-in Audio"))
    device_open: bool = True
    policy: Policy = Policy.ALWAYS
    muted: bool = False
    problem: str = ""
    channel_problem: str = ""
    announcer: Announcer | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource; muted before lost, which is not the published order."""
        muted = (Problem.MICROPHONE_MUTED,) if self.muted else ()
        return (*muted, Problem.MICROPHONE_LOST) if self.problem else muted

    async def select(self, name: str) -> None:
        for known, description in self.devices:
            if name in description:
                self.device, self.selection = description, known
                assert self.announcer is not None
                self.announcer.state_changed()
                return
        raise UnknownDevice(f"There is no microphone “{name}”.")


@dataclass
class ScriptedControl:
    """All controls; the test acts as microphone and recognizer, and sets the spoken text with `say`."""

    announcer: BusAnnouncer | None = None
    state: State = State.IDLE
    session: int = 0
    engine: EngineStatus = field(default_factory=EngineStatus)
    fault: Exception | None = None
    """Exception raised by every method while set."""
    text_pending: asyncio.Event | None = None
    """If set, StopDictation returns its text only after this event."""
    started: list[tuple[str, SessionOptions, float]] = field(default_factory=list)
    """Caller, options and time of each started session."""
    left: list[str] = field(default_factory=list)
    """Callers reported as having left."""
    files: dict[int, tuple[str, int, FileOptions]] = field(default_factory=dict)
    """Caller, descriptor and options of each file job; the test closes the descriptors."""
    language: str = "auto"
    """Language of a session that names none."""
    retried_in: str = ""
    """Language of the last retry."""
    providers: list[str] = field(default_factory=list)
    """Arguments of SetProvider; `reload` for each Reload."""
    metrics: Metrics = field(default_factory=Metrics)
    metrics_read: int = 0
    """Number of GetMetrics calls."""
    awaiting_restart: tuple[str, ...] = ()
    microphone: ScriptedMicrophone = field(default_factory=ScriptedMicrophone)
    _texts: list[str] = field(default_factory=list)
    _sessions: int = 0

    @property
    def controls(self) -> Controls:
        return Controls(self, self, self, _Files(self), self.microphone, problems=(self, self.microphone))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return self.engine.problems

    @property
    def owner(self) -> str:
        return self.started[-1][0]

    @property
    def options(self) -> SessionOptions:
        return self.started[-1][1]

    @property
    def _to(self) -> str | None:
        return self.owner if self.options.private else None

    def start(self, caller: str, options: SessionOptions, called_s: float) -> int:
        self._fail()
        if self.session:
            raise AlreadyActive("A session is active: stop or cancel it first.")
        self.started.append((caller, options, called_s))
        self._sessions += 1
        self.session = self._sessions
        self._texts.clear()
        self._bus_announcer().dictation_started(self.session)
        self._become(State.LISTENING)
        return self.session

    def start_pending(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def stop(self, caller: str, called_s: float, session: int = 0) -> str:
        del called_s
        if session not in (0, self.session):
            raise NotActive(f"Session {session} is not active.")
        self._check(caller)
        self._become(State.TRANSCRIBING)
        if self.text_pending is not None:
            await self.text_pending.wait()
        return self._end(StopReason.STOPPED)

    async def cancel(self, caller: str) -> None:
        self._check(caller)
        self._texts.clear()
        self._end(StopReason.CANCELLED)

    def toggle(self, caller: str, called_s: float, options: SessionOptions | None = None) -> bool:
        self._fail()
        if not self.session:
            self.start(caller, options or SessionOptions(), called_s)
            return True
        self._check(caller)
        self._end(StopReason.STOPPED)
        return False

    def options_of(self, caller: str, session: int) -> SessionOptions:
        if not session or session != self.session:
            raise NotActive(f"Session {session} is not active.")
        self._check(caller)
        return self.options

    def caller_left(self, caller: str) -> None:
        self.left.append(caller)
        if self.session and self.owner == caller:
            self._texts.clear()
            self._end(StopReason.CALLER_LEFT)

    async def retry_last(self, caller: str, utterance: int = 0, language: str = "") -> str:
        return (await self.recognize_last(caller, utterance, language)).text

    async def recognize_last(
        self, caller: str, utterance: int = 0, language: str = "", alternatives: int = 0
    ) -> Hypothesis:
        self._fail()
        self.retried_in = language
        if not self._texts or utterance not in (0, len(self._texts)):
            raise NotActive("There is nothing to retry.")
        if self.options.private and caller != self.owner:
            raise NotOwner("The last utterance is private to another client.")
        text = self._texts[-1]
        others = tuple(Alternative(f"not {text}", 0.25) for _ in range(alternatives))
        return Hypothesis(text, (), (), 0.875, "CPUExecutionProvider", 0.25, alternatives=others)

    async def transcribe(self, caller: str, descriptor: int, options: FileOptions) -> int:
        try:
            self._fail()
        except Exception:
            os.close(descriptor)
            raise
        number = len(self.files) + 1
        self.files[number] = (caller, descriptor, options)
        return number

    def cancel_file(self, caller: str, job: int) -> None:
        self._fail()
        owner, descriptor, _ = self.files.pop(job)
        assert owner == caller
        os.close(descriptor)
        self._bus_announcer().file_ended(job)

    async def reload(self) -> None:
        self._fail()
        self.providers.append("reload")

    async def set_provider(self, provider: str) -> None:
        self._fail()
        self.providers.append(provider)

    def figures(self) -> Figures:
        self.metrics_read += 1
        return self.metrics.figures(uptime_s=1.5, resident_bytes=1 << 33)

    def say(
        self,
        text: str,
        words: tuple[Word, ...] = (),
        seamed: SeamedText | None = None,
        alternatives: tuple[Alternative, ...] = (),
    ) -> None:
        """Publish recognized speech; without `seamed`, as if the settings switched seams off."""
        seamed = seamed or SeamedText(text, "", " " if self._texts else "")
        self._texts.append(text)
        transcript = Transcript(
            self.session,
            len(self._texts),
            text,
            0.5,
            1.5,
            0.875,
            "CPUExecutionProvider",
            0.25,
            words=words,
            seamed=seamed,
            alternatives=alternatives,
        )
        self._bus_announcer().transcribed(transcript, self.options.words, self._to)

    def say_so_far(self, stable: str, unstable: str) -> None:
        """Publish words of the utterance that is being spoken."""
        self._bus_announcer().partial_transcribed(self.session, len(self._texts) + 1, stable, unstable, self._to)

    def close_sentence(self) -> None:
        """Publish that the sentence of the last text is over."""
        self._bus_announcer().sentence_closed(self.session, len(self._texts), self._to)

    def finish(self, reason: StopReason) -> None:
        """End the session as if automatically."""
        self._end(reason)

    def _end(self, reason: StopReason) -> str:
        session, self.session, text = self.session, 0, " ".join(self._texts)
        self._bus_announcer().dictation_stopped(session, reason, text, self._to)
        self._become(State.IDLE)
        return text

    def _become(self, state: State) -> None:
        self.state = state
        self._bus_announcer().state_changed()

    def _check(self, caller: str) -> None:
        self._fail()
        if not self.session:
            raise NotActive("No session is active.")
        if self.options.private and caller != self.owner:
            raise NotOwner("The session is private to another client.")

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault

    def _bus_announcer(self) -> BusAnnouncer:
        assert self.announcer is not None
        return self.announcer


class _Files:
    """A FileControl; its `cancel` takes different arguments than a session's."""

    def __init__(self, control: ScriptedControl) -> None:
        self.transcribe = control.transcribe
        self.cancel = control.cancel_file
        self.caller_left = control.left.append


@dataclass
class RunningService:
    """A service that owns its name on a private bus."""

    bus: PrivateBus
    connection: Connection
    service: BusService
    announcer: BusAnnouncer
    control: ScriptedControl
    microphone: ScriptedMicrophone

    def client(self) -> BusClient:
        return BusClient(self.bus.address)


@asynccontextmanager
async def running_service(bus: PrivateBus, files: FileControl | None = None) -> AsyncIterator[RunningService]:
    """Run the service on this bus with a ScriptedControl; files go to `files` if given."""
    control = ScriptedControl()
    connection, announcer, service = await serve(control, bus.address, files)
    await service.own_name()
    try:
        yield RunningService(bus, connection, service, announcer, control, control.microphone)
    finally:
        await connection.aclose()
        for _, descriptor, _ in control.files.values():
            os.close(descriptor)


async def serve(
    control: ScriptedControl, address: str | None = None, files: FileControl | None = None
) -> tuple[Connection, BusAnnouncer, BusService]:
    """Start the service on the bus at `address`, by default the session bus, without its name."""
    connection = await Connection.open(address)
    announcer = control.announcer = control.microphone.announcer = BusAnnouncer(connection, control.metrics)
    controls = control.controls
    return connection, announcer, BusService(connection, announcer, replace(controls, files=files or controls.files))
