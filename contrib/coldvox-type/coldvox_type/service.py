"""The client itself: what is transcribed is delivered, in order, once, and reported where it may not have arrived."""

import asyncio
import signal
from pathlib import Path

from dbus_next import Message, MessageFlag, Variant

from coldvox_type import settings
from coldvox_type.clipboard import Clipboards
from coldvox_type.delivery import Attempt, Outcome, Result, deliver, plain
from coldvox_type.faults import SettingsFault
from coldvox_type.focus import Focus
from coldvox_type.leaving import Leaving
from coldvox_type.memory import Memory, Pair
from coldvox_type.places import Place, Places
from coldvox_type.remote import Remote
from coldvox_type.reports import Reporter
from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.notifications import NAME as NOTIFICATIONS

REMEDY = "Run `coldvox-type --last` to type it into the window that is focused then."
CLIPBOARD_LOCK = "clipboard"


class Typist:
    """Delivers texts and remembers what became of them."""

    def __init__(self, memory: Memory, settings_file: Path, connection: Connection, reporter: Reporter) -> None:
        self._memory = memory
        self._settings_file = settings_file
        self._connection = connection
        self._reporter = reporter
        self._remote = Remote(connection, memory.lock(CLIPBOARD_LOCK))
        self._clipboards = Clipboards(memory.lock)
        self._places = Places(memory)
        self._concluding: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Return when all clipboards have their own content again, and everything is reported."""
        await self._clipboards.close()
        await self._remote.close()
        if self._concluding:
            await asyncio.wait(self._concluding)
        await self._places.close()

    async def handle(self, event: Event) -> None:
        """Deliver a `transcribed` event, unless its pair was handled before. What became of it may be reported later."""
        pair = (event.session, int(event.fields["utterance"]))
        text = plain(str(event.fields["text"]))
        async with self._memory.delivering():
            if not self._accept(pair, text):
                return
            attempt = await self._attempt(text, event.session)
            place = await self._note_place(attempt, text, event.session)
        concluding = asyncio.create_task(self._conclude(pair, text, attempt, place), name="outcome")
        self._concluding.add(concluding)
        concluding.add_done_callback(self._concluding.discard)

    def put_aside(self, event: Event) -> None:
        """Keep a `transcribed` event for `--last`, for there was no time to deliver all of it."""
        pair = (event.session, int(event.fields["utterance"]))
        self._accept(pair, plain(str(event.fields["text"])))
        reason = "coldvox-type was stopped"
        self._reporter.outcome(_named(pair), Outcome(Result.FAILED, reason=reason))

    async def last(self) -> Outcome | None:
        """Deliver what is undelivered, or else the last text again; None where there is neither."""
        async with self._memory.delivering():
            undelivered = self._memory.undelivered()
            text = undelivered or self._memory.last()
            if not text:
                return None
            attempt = await self._attempt(text, 0)
            await self._note_place(attempt, text, 0)
            outcome = await attempt.settled()
            if undelivered:
                self._memory.settle(undelivered, outcome.undelivered)
        self._reporter.outcome({"earlier": "undelivered" if undelivered else "last"}, outcome)
        return outcome

    def _accept(self, pair: Pair, text: str) -> bool:
        """Whether it is new. Noted at once: if we die while it is delivered, a part may be there, and it must not come twice."""
        if not text or self._memory.knows(pair):
            return False
        self._memory.note(pair)
        self._memory.note_last(text)
        self._memory.add_undelivered(text)
        return True

    async def _attempt(self, text: str, session: int) -> Attempt:
        try:
            rules = settings.load(self._settings_file)
        except SettingsFault as fault:
            self._reporter.line(f"{fault}; using the defaults")
            rules = settings.load(Path("/dev/null"))

        async def joint(focus: Focus) -> str:
            return await self._places.joint(text, focus, session)

        return await deliver(text, rules, self._remote, self._clipboards, joint)

    async def _note_place(self, attempt: Attempt, text: str, session: int) -> Place | None:
        if attempt.outcome.undelivered:
            await self._places.forget()
            return None
        return await self._places.note(text, attempt.focus, session, attempt.environment)

    async def _conclude(self, pair: Pair, text: str, attempt: Attempt, place: Place | None) -> None:
        outcome = await attempt.settled()
        self._memory.settle(text, outcome.undelivered)
        if outcome.in_clipboard and place:
            await self._places.forget(place)
        self._reporter.outcome(_named(pair), outcome)
        if outcome.in_clipboard or outcome.result is Result.FAILED:
            await self._notify(outcome)

    async def _notify(self, outcome: Outcome) -> None:
        reason = outcome.reason[:1].upper() + outcome.reason[1:]
        self._connection.send(
            Message(
                destination=NOTIFICATIONS,
                path="/org/freedesktop/Notifications",
                interface=NOTIFICATIONS,
                member="Notify",
                flags=MessageFlag.NO_REPLY_EXPECTED,
                signature="susssasa{sv}i",
                body=[
                    "coldvox-type",
                    0,
                    "input-keyboard",
                    "Your text is in the clipboard" if outcome.in_clipboard else "Your text was not typed",
                    f"{reason}. {REMEDY}",
                    [],
                    _HINTS,
                    -1,
                ],
            )
        )


def _named(pair: Pair) -> dict[str, int | str]:
    return {"session": pair[0], "utterance": pair[1]}


_HINTS = {"urgency": Variant("y", 1)}


async def serve(memory: Memory, settings_file: Path, reporter: Reporter) -> None:
    """Deliver until SIGTERM or SIGINT, and then what is still owed; BusUnavailable when the bus goes."""
    connection = await Connection.open()
    typist = Typist(memory, settings_file, connection, reporter)
    try:
        async with DaemonClient.connected() as daemon:
            leaving = Leaving(daemon)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, leaving.begin)
            await daemon.subscribe()
            reporter.line("ready")
            while not leaving.is_last(event := await daemon.next_event()):
                if event.name != "transcribed":
                    continue
                try:
                    async with leaving.bounded():
                        await typist.handle(event)
                except TimeoutError:
                    typist.put_aside(event)
    finally:
        await typist.close()
        await connection.aclose()


async def deliver_last(memory: Memory, settings_file: Path, reporter: Reporter) -> Outcome | None:
    """For `--last`."""
    connection = await Connection.open()
    typist = Typist(memory, settings_file, connection, reporter)
    try:
        return await typist.last()
    finally:
        await typist.close()
        await connection.aclose()


async def allow(memory: Memory) -> None:
    """Ask the desktop's user for the keyboard. Raises Refused, and BusUnavailable."""
    connection = await Connection.open()
    remote = Remote(connection, memory.lock(CLIPBOARD_LOCK))
    try:
        await remote.allow()
    finally:
        await remote.close()
        await connection.aclose()
