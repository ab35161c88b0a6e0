"""The typing service: delivers each transcribed text once, in order, and reports texts that may not have arrived."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_events import Event
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.peers.notifications import notification
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.sentences import clause, sentences
from coldvoxd.typist import settings
from coldvoxd.typist.clipboard import Clipboards
from coldvoxd.typist.delivery import Attempt, MarkResult, Outcome, Result, deliver, deliver_mark
from coldvoxd.typist.dictated import Dictated
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
from coldvoxd.typist.sentence_end import drops_mark, ends_sentence, is_over
from coldvoxd.typist.shortcut_keys import ShortcutKeys
from coldvoxd.typist.virtual_keyboard import VirtualKeyboards

REMEDY = "Run `coldvox-type --last` to type it into the window that is focused then."
CLIPBOARD_LOCK, SERVING_LOCK = "clipboard", "serving"
RESUME_S = 30.0
"""Seconds after a text in which a coldvox-type that was started again writes its final mark, if the session has ended."""


class Typist:
    """Delivers texts and records their outcomes."""

    def __init__(
        self,
        ledger: Ledger,
        settings_file: Path,
        connection: Connection,
        reporter: Reporter,
        queued_events: Callable[[], Sequence[Event]] = tuple,
    ) -> None:
        """`queued_events` returns the events that `handle` has yet to get."""
        self._ledger = ledger
        self._settings_file = settings_file
        self._connection = connection
        self._reporter = reporter
        self._queued_events = queued_events
        self._remote_desktop = RemoteDesktop(connection, ledger.lock(CLIPBOARD_LOCK))
        self._shortcut = ShortcutKeys()
        self._clipboards = Clipboards(ledger.lock)
        self._keyboards = VirtualKeyboards()
        self._places = Places(ledger)
        self._concluding: set[asyncio.Task[None]] = set()
        self._latest: tuple[Pair, Attempt] | None = None
        """The latest delivery."""

    async def follow_shortcut(self) -> None:
        """Note from now on when a shortcut starts or ends a session. Raises DBusError and BusUnavailable."""
        await self._shortcut.follow(self._connection)

    async def close(self) -> None:
        """Return when all clipboards have their own content again, and everything is reported."""
        await self._clipboards.close()
        await self._remote_desktop.close()
        if self._concluding:
            await asyncio.wait(self._concluding)
        await self._places.close()
        await self._keyboards.close()

    async def handle(self, event: Event) -> None:
        """Deliver the text of an event unless it was handled before, or write the final mark that is due with it.

        The outcome of a text may be reported later.
        """
        if event.name == "transcribed":
            await self._deliver(event)
        elif self._place_of_mark(event):
            async with self._ledger.delivering():
                await self._end_sentence(event)

    def put_aside(self, event: Event) -> None:
        """Keep a `transcribed` event for `--last`, since there was no time to deliver all of it."""
        if event.name == "transcribed":
            text = self._received(event)
            self._accept(text)
            outcome = Outcome(Result.FAILED, reason="coldvox-type was stopped")
            self._reporter.outcome(_named(text.pair), outcome)

    async def resume(self, session: int) -> None:
        """Write the final mark of a session that ended while no coldvox-type was running. `session` is the active one."""
        place = self._places.last()
        if place and place.mark and place.window and place.session != session and place.age_s <= RESUME_S:
            async with self._ledger.delivering():
                if place == self._places.last():
                    await self._write_mark(place, only_by_key=False)

    async def last(self) -> Outcome | None:
        """Deliver the undelivered text, or else the last text again; return None if there is neither."""
        async with self._ledger.delivering():
            undelivered = self._ledger.undelivered_texts()
            text = Dictated.whole(self._ledger.undelivered() or self._ledger.last())
            if not text.text:
                return None
            attempt = await self._attempt(text)
            outcome = await attempt.settled()
            self._settle([kept.pair for kept in undelivered], outcome)
        self._reporter.outcome({"earlier": "undelivered" if undelivered else "last"}, outcome)
        return outcome

    async def _deliver(self, event: Event) -> None:
        async with self._ledger.delivering():
            text = self._received(event)
            if not self._accept(text):
                return
            attempt = await self._attempt(text)
            self._latest = text.pair, attempt
        concluding = asyncio.create_task(self._conclude(text, attempt), name="outcome")
        self._concluding.add(concluding)
        concluding.add_done_callback(self._concluding.discard)

    def _received(self, event: Event) -> Dictated:
        return Dictated.received(event.fields, self._ledger.previous(event.session))

    def _accept(self, text: Dictated) -> bool:
        """Record a text and return whether it is new.

        Recorded before the delivery: if we die during it, a part may have arrived, and the text must not be typed
        twice.
        """
        if not text.text or self._ledger.knows(text.pair):
            return False
        self._ledger.note(text.pair)
        self._ledger.drop_left()
        self._ledger.note_last(text.text)
        self._ledger.add_undelivered(text)
        if reason := self._ledger.last_unwritten:
            self._reporter.line(f"{reason}; `coldvox-type --last` will not have this one")
        return True

    async def _attempt(self, text: Dictated) -> Attempt:
        """Deliver a text, with its final mark if its sentence is over already, and record where it went."""
        inserted, is_marked = "", False

        async def insertion(focus: Focus) -> str:
            nonlocal inserted, is_marked
            is_marked = not text.unmarked or is_over(text, self._queued_events())
            inserted = await self._places.insertion(text, focus) + (text.pending if is_marked else "")
            await self._places.forget()  # if this process is killed, it is unknown what the window has
            return inserted

        attempt = await deliver(text.text, self._settings(), self._means, insertion)
        if attempt.outcome.undelivered:
            await self._places.forget()
        else:
            place = Place.behind(text, inserted, attempt.focus, is_marked=is_marked)
            await self._places.note(place, attempt.focus, attempt.environment)
        return attempt

    async def _end_sentence(self, event: Event) -> None:
        """Write the final mark that is due with a `sentence-closed` or `stopped` event.

        Where texts are pasted, a mark that is due within a session is held until the next text or the session's end: a
        paste of one character takes as long as one of a text. So it is where the desktop does not report the window: the
        user, who says nothing at the moment, may be in another one.
        """
        place = self._place_of_mark(event)  # again, since another process of ours may have written it
        if place and drops_mark(event):
            self._places.update(place, place.marked())
        elif place:
            await self._write_mark(place, only_by_key=event.name == "sentence-closed")

    def _place_of_mark(self, event: Event) -> Place | None:
        """Return the last place if a final mark is due there, as of this event; otherwise None."""
        place = self._places.last()
        return place if place and place.mark and ends_sentence(event, place.session, place.utterance) else None

    async def _write_mark(self, place: Place, *, only_by_key: bool) -> None:
        """Write the final mark at the last place; drop it if the insertion point is elsewhere.

        Recorded as written before it is: if we die meanwhile, it must not be typed twice.
        """
        marked = place.marked()

        async def is_there(focus: Focus, by_key: bool) -> bool:
            if by_key and not await self._has_arrived((place.session, place.utterance)):
                return False  # a key is handled at once, a paste when the window gets to it
            if not await self._places.is_at(place, focus, place.session):
                return False
            self._places.update(place, marked)
            return True

        attempt = await deliver_mark(place.mark, self._settings(), self._means, is_there, only_by_key=only_by_key)
        match attempt.result:
            case MarkResult.WRITTEN:
                await self._places.note(marked, attempt.focus, attempt.environment)
            case MarkResult.DUE:
                self._places.update(marked, place)
            case MarkResult.DROPPED:
                self._places.update(place, marked)
        if attempt.reason and (attempt.result is MarkResult.DROPPED or not only_by_key):
            named = f"session={place.session} utterance={place.utterance}"
            self._reporter.line(f"the final mark of {named} was not written: {attempt.reason}")

    async def _has_arrived(self, pair: Pair) -> bool:
        """Return whether the text was delivered, as soon as that is known."""
        if self._latest is None or self._latest[0] != pair:
            return True
        outcome = await self._latest[1].settled()
        return not outcome.in_clipboard

    def _settings(self) -> settings.Settings:
        try:
            return settings.load(self._settings_file)
        except TypeSettingsError as error:
            self._reporter.line(f"{clause(str(error))}; using the defaults")
            return settings.load(Path("/dev/null"))

    @property
    def _means(self) -> Means:
        return Means(self._remote_desktop, self._shortcut, self._clipboards, self._keyboards)

    async def _conclude(self, text: Dictated, attempt: Attempt) -> None:
        outcome = await attempt.settled()
        self._settle([text.pair], outcome)
        if outcome.in_clipboard:
            await self._places.forget_behind(text.pair)
        self._reporter.outcome(_named(text.pair), outcome)
        if outcome.in_clipboard or outcome.result is Result.FAILED:
            await self._notify(outcome)
        if late := await attempt.arrived_late():
            self._ledger.drop_left([text.pair])
            self._reporter.outcome(_named(text.pair), late)

    def _settle(self, pairs: Sequence[Pair], outcome: Outcome) -> None:
        if not outcome.undelivered:
            self._ledger.settle(pairs)
        elif outcome.in_clipboard:
            self._ledger.note_left(pairs)

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
    serving = FileLock(ledger.lock(SERVING_LOCK))
    typist: Typist | None = None
    checking: asyncio.Task[None] | None = None
    try:
        async with DaemonClient.connected() as daemon:
            typist = Typist(ledger, settings_file, connection, reporter, daemon.queued_events)
            drain = Drain(daemon)
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, drain.begin)
            reporter.when_lost = drain.begin
            await daemon.subscribe()
            await typist.follow_shortcut()
            reporter.line("ready")
            if not await serving.acquire(0):
                reporter.line("another coldvox-type is running: each text is delivered once, by one of them")
            checking = asyncio.create_task(_report_missing_desktop(reporter), name="desktop")
            await _resume(typist, daemon, drain)
            is_last = False
            while not is_last:
                event = await daemon.next_event()
                is_last = drain.is_last(event)
                try:
                    async with drain.bounded():
                        await typist.handle(event)
                except TimeoutError:
                    typist.put_aside(event)
    finally:
        if checking:
            checking.cancel()
        serving.release()
        if typist:
            await typist.close()
        await connection.aclose()


async def _resume(typist: Typist, daemon: DaemonClient, drain: Drain) -> None:
    """Write a final mark that an earlier coldvox-type could not. If no daemon runs, its next one ends the session."""
    with suppress(ColdvoxError, TimeoutError):
        async with drain.bounded():
            await typist.resume(int((await daemon.status())["Session"]))


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
