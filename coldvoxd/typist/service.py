"""The typing service: delivers each transcribed text once, in order, and reports texts that may not have arrived."""

import asyncio
import signal
from pathlib import Path

from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.notifications import notification
from coldvoxd.core.sentences import clause, sentences
from coldvoxd.typist import settings
from coldvoxd.typist.clipboard import Clipboards
from coldvoxd.typist.delivery import Attempt, Outcome, Result, deliver, plain
from coldvoxd.typist.displays import check_desktop
from coldvoxd.typist.drain import Drain
from coldvoxd.typist.errors import Refused, TypeSettingsError
from coldvoxd.typist.file_lock import FileLock
from coldvoxd.typist.focus import Focus
from coldvoxd.typist.insertion_point import Place, Places
from coldvoxd.typist.ledger import Ledger, Pair
from coldvoxd.typist.methods import Means
from coldvoxd.typist.portal import RemoteDesktop
from coldvoxd.typist.reports import Reporter
from coldvoxd.typist.virtual_keyboard import VirtualKeyboards

REMEDY = "Run `coldvox-type --last` to type it into the window that is focused then."
CLIPBOARD_LOCK, SERVING_LOCK = "clipboard", "serving"


class Typist:
    """Delivers texts and records their outcomes."""

    def __init__(self, ledger: Ledger, settings_file: Path, connection: Connection, reporter: Reporter) -> None:
        self._ledger = ledger
        self._settings_file = settings_file
        self._connection = connection
        self._reporter = reporter
        self._remote_desktop = RemoteDesktop(connection, ledger.lock(CLIPBOARD_LOCK))
        self._clipboards = Clipboards(ledger.lock)
        self._keyboards = VirtualKeyboards()
        self._places = Places(ledger)
        self._concluding: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Return when all clipboards have their own content again, and everything is reported."""
        await self._clipboards.close()
        await self._remote_desktop.close()
        if self._concluding:
            await asyncio.wait(self._concluding)
        await self._places.close()
        await self._keyboards.close()

    async def handle(self, event: Event) -> None:
        """Deliver a `transcribed` event, unless it was handled before. Its outcome may be reported later."""
        pair = (event.session, int(event.fields["utterance"]))
        text = plain(str(event.fields["text"]))
        async with self._ledger.delivering():
            if not self._accept(pair, text):
                return
            attempt = await self._attempt(text, event.session)
            place = await self._note_place(attempt, text, event.session)
        concluding = asyncio.create_task(self._conclude(pair, text, attempt, place), name="outcome")
        self._concluding.add(concluding)
        concluding.add_done_callback(self._concluding.discard)

    def put_aside(self, event: Event) -> None:
        """Keep a `transcribed` event for `--last`, since there was no time to deliver all of it."""
        pair = (event.session, int(event.fields["utterance"]))
        self._accept(pair, plain(str(event.fields["text"])))
        reason = "coldvox-type was stopped"
        self._reporter.outcome(_named(pair), Outcome(Result.FAILED, reason=reason))

    async def last(self) -> Outcome | None:
        """Deliver the undelivered text, or else the last text again; return None if there is neither."""
        async with self._ledger.delivering():
            undelivered = self._ledger.undelivered()
            text = undelivered or self._ledger.last()
            if not text:
                return None
            attempt = await self._attempt(text, 0)
            await self._note_place(attempt, text, 0)
            outcome = await attempt.settled()
            if undelivered:
                self._settle(undelivered, outcome)
        self._reporter.outcome({"earlier": "undelivered" if undelivered else "last"}, outcome)
        return outcome

    def _accept(self, pair: Pair, text: str) -> bool:
        """Record a text and return whether it is new.

        Recorded before the delivery: if we die during it, a part may have arrived, and the text must not be typed
        twice.
        """
        if not text or self._ledger.knows(pair):
            return False
        self._ledger.note(pair)
        self._ledger.drop_left()
        self._ledger.note_last(text)
        self._ledger.add_undelivered(text)
        if reason := self._ledger.last_unwritten:
            self._reporter.line(f"{reason}; `coldvox-type --last` will not have this one")
        return True

    async def _attempt(self, text: str, session: int) -> Attempt:
        try:
            rules = settings.load(self._settings_file)
        except TypeSettingsError as error:
            self._reporter.line(f"{clause(str(error))}; using the defaults")
            rules = settings.load(Path("/dev/null"))

        async def joint(focus: Focus) -> str:
            return await self._places.joint(text, focus, session)

        means = Means(self._remote_desktop, self._clipboards, self._keyboards)
        return await deliver(text, rules, means, joint)

    async def _note_place(self, attempt: Attempt, text: str, session: int) -> Place | None:
        if attempt.outcome.undelivered:
            await self._places.forget()
            return None
        return await self._places.note(text, attempt.focus, session, attempt.environment)

    async def _conclude(self, pair: Pair, text: str, attempt: Attempt, place: Place | None) -> None:
        outcome = await attempt.settled()
        self._settle(text, outcome)
        if outcome.in_clipboard and place:
            await self._places.forget(place)
        self._reporter.outcome(_named(pair), outcome)
        if outcome.in_clipboard or outcome.result is Result.FAILED:
            await self._notify(outcome)
        if late := await attempt.arrived_late():
            self._ledger.drop_left(outcome.undelivered)
            self._reporter.outcome(_named(pair), late)

    def _settle(self, text: str, outcome: Outcome) -> None:
        self._ledger.settle(text, outcome.undelivered)
        if outcome.in_clipboard and outcome.undelivered:
            self._ledger.note_left(outcome.undelivered)

    async def _notify(self, outcome: Outcome) -> None:
        reason = outcome.reason[:1].upper() + outcome.reason[1:]
        title = "Your text is in the clipboard" if outcome.in_clipboard else "Your text was not typed"
        self._connection.send(
            notification(
                title, sentences(reason, REMEDY), application="coldvox-type", icon="input-keyboard", category=""
            )
        )


def _named(pair: Pair) -> dict[str, int | str]:
    return {"session": pair[0], "utterance": pair[1]}


async def serve(ledger: Ledger, settings_file: Path, reporter: Reporter) -> None:
    """Deliver texts until SIGTERM or SIGINT, and then those still pending. Raises BusUnavailable when the bus ends."""
    connection = await Connection.open()
    typist = Typist(ledger, settings_file, connection, reporter)
    serving = FileLock(ledger.lock(SERVING_LOCK))
    checking: asyncio.Task[None] | None = None
    try:
        async with DaemonClient.connected() as daemon:
            drain = Drain(daemon)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, drain.begin)
            reporter.when_lost = drain.begin
            await daemon.subscribe()
            reporter.line("ready")
            if not await serving.acquire(0):
                reporter.line("another coldvox-type is running: each text is delivered once, by one of them")
            checking = asyncio.create_task(_report_missing_desktop(reporter), name="desktop")
            while not drain.is_last(event := await daemon.next_event()):
                if event.name != "transcribed":
                    continue
                try:
                    async with drain.bounded():
                        await typist.handle(event)
                except TimeoutError:
                    typist.put_aside(event)
    finally:
        if checking:
            checking.cancel()
        serving.release()
        await typist.close()
        await connection.aclose()


async def _report_missing_desktop(reporter: Reporter) -> None:
    """Report at the start that no desktop answers; one that is started later is found at the next text."""
    try:
        await check_desktop()
    except Refused as error:
        reporter.line(f"texts cannot be typed yet: {error}")


async def deliver_last(ledger: Ledger, settings_file: Path, reporter: Reporter) -> Outcome | None:
    """Deliver for `--last`."""
    connection = await Connection.open()
    typist = Typist(ledger, settings_file, connection, reporter)
    try:
        return await typist.last()
    finally:
        await typist.close()
        await connection.aclose()


async def allow(ledger: Ledger) -> None:
    """Ask the user for permission to press keys. Raises Refused and BusUnavailable."""
    connection = await Connection.open()
    remote = RemoteDesktop(connection, ledger.lock(CLIPBOARD_LOCK))
    try:
        await remote.allow()
    finally:
        await remote.close()
        await connection.aclose()
