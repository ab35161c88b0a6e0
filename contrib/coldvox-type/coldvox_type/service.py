"""The client itself: what is transcribed is delivered, in order, once, and told where it didn't get into a window."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from dbus_next import Message, MessageFlag, Variant

from coldvox_type import settings
from coldvox_type.delivery import Outcome, deliver, plain
from coldvox_type.faults import SettingsFault
from coldvox_type.memory import Memory
from coldvox_type.remote import Remote
from coldvox_type.rungs import Result
from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.notifications import NAME as NOTIFICATIONS

Tell = Callable[[str], None]
TITLES = {Result.CLIPBOARD: "Your text is in the clipboard", Result.FAILED: "Your text was not typed"}
REMEDY = "`coldvox-type --last` types it into the window that has the focus then."


class Typist:
    """Delivers texts and remembers what became of them."""

    def __init__(self, memory: Memory, settings_file: Path, connection: Connection, tell: Tell) -> None:
        self._memory = memory
        self._settings_file = settings_file
        self._connection = connection
        self._tell = tell
        self._remote = Remote(connection)

    async def close(self) -> None:
        await self._remote.close()

    async def handle(self, event: Event) -> None:
        """Deliver a `transcribed` event, unless its pair was handled before."""
        pair = (event.session, int(event.fields["utterance"]))
        text = plain(str(event.fields["text"]))
        with self._memory.delivering():
            if not text or self._memory.knows(pair):
                return
            joint = " " if self._memory.knows_session(event.session) else ""
            # Noted before: if we die in the middle of it, a part may be there, and the whole must not come again.
            self._memory.note(pair)
            older = self._memory.undelivered()
            self._memory.keep(_joined(older, text))
            outcome = await self._attempt(joint + text)
            self._memory.keep(_joined(older, outcome.undelivered))
        self._report(f"session={pair[0]} utterance={pair[1]}", outcome)
        if outcome.result in TITLES:
            await self._notify(outcome)

    async def last(self) -> Outcome | None:
        """Deliver what is undelivered; None where nothing is."""
        with self._memory.delivering():
            text = self._memory.undelivered()
            if not text:
                return None
            outcome = await self._attempt(text)
            self._memory.keep(outcome.undelivered)
        self._report("undelivered before", outcome)
        return outcome

    async def _attempt(self, text: str) -> Outcome:
        try:
            rules = settings.load(self._settings_file)
        except SettingsFault as fault:
            self._tell(f"{fault}; going on as if the file were not there")
            rules = settings.load(Path("/dev/null"))
        return await deliver(text, rules, self._remote)

    def _report(self, what: str, outcome: Outcome) -> None:
        where = f" application={outcome.application}" if outcome.application else ""
        why = f": {outcome.reason}" if outcome.reason else ""
        self._tell(f"{outcome.result} {what}{where}{why}")

    async def _notify(self, outcome: Outcome) -> None:
        reason = outcome.reason[:1].upper() + outcome.reason[1:] or "As it is set"
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
                    TITLES[outcome.result],
                    f"{reason}. {REMEDY}",
                    [],
                    _HINTS,
                    -1,
                ],
            )
        )


_HINTS = {"urgency": Variant("y", 1)}


async def serve(memory: Memory, settings_file: Path, tell: Tell) -> None:
    """Deliver until SIGTERM or SIGINT; BusUnavailable when the bus goes."""
    connection = await Connection.open()
    typist = Typist(memory, settings_file, connection, tell)
    try:
        async with DaemonClient.connected() as daemon:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, daemon.interrupt)
            await daemon.subscribe()
            tell("ready")
            while (event := await daemon.next_event()).name != "interrupted":
                if event.name == "transcribed":
                    await typist.handle(event)
    finally:
        await typist.close()
        await connection.aclose()


async def deliver_last(memory: Memory, settings_file: Path, tell: Tell) -> Outcome | None:
    connection = await Connection.open()
    typist = Typist(memory, settings_file, connection, tell)
    try:
        return await typist.last()
    finally:
        await typist.close()
        await connection.aclose()


async def allow() -> None:
    """Ask the desktop's user for the keyboard. Raises Refused, and BusUnavailable."""
    connection = await Connection.open()
    remote = Remote(connection)
    try:
        await remote.allow()
    finally:
        await remote.close()
        await connection.aclose()


def _joined(older: str, text: str) -> str:
    return f"{older} {text.strip()}".strip() if older else text
