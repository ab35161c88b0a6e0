"""The command listen."""

import asyncio
import signal
from argparse import Namespace
from typing import Self

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_events import Event
from coldvoxd.cli.alternatives import alternative_lines, warn_without_alternatives
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.live_partials import LivePartials
from coldvoxd.cli.output import Output
from coldvoxd.cli.session_options import session_options
from coldvoxd.cli.wordless import GAPS, SessionEndings
from coldvoxd.core.errors import ColdvoxError, DaemonUnreachable, NoMicrophone, NotSupported

COMES_BACK_S = 30.0
"""Seconds to wait for a daemon that crashed during our session."""


async def listen(arguments: Namespace, output: Output) -> Exit:
    """Print texts until interrupted, or until the session has ended. Raises ColdvoxError."""
    output.require_stdout()
    options = session_options(arguments)
    if not arguments.start and (options.keys() - {"partials"} or arguments.private):
        raise UsageFault(
            "--private, --words, --single-utterance, --max-seconds, --alternatives and --language require --start."
        )
    async with DaemonClient.connected() as daemon:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, daemon.interrupt)
        with output.watched(daemon.interrupt):
            present = await daemon.subscribe(partials=arguments.partials)
            if arguments.start:
                options["private" if arguments.private else "bind-to-caller"] = True
                session = await daemon.start(options)
                output.note(f"Speak: session {session}. Ctrl-C stops it.")
                if "alternatives" in options:
                    await warn_without_alternatives(daemon, output)
                with _Printer(output, alternatives="alternatives" in options) as printer:
                    return await _follow_own(daemon, session, printer)
            if not present:
                raise DaemonUnreachable("coldvoxd is not running: start it with `systemctl --user start coldvoxd`.")
            if arguments.partials and "partials" not in (await daemon.status()).get("Capabilities", ()):
                raise NotSupported("The running coldvoxd has no partial transcripts: update it and restart it.")
            output.result({"event": "listening"})
            with _Printer(output) as printer:
                return await _follow_all(daemon, arguments.once, printer)


class _Printer:
    """Prints the events. Leaves no unfinished line behind at the end of its context."""

    def __init__(self, output: Output, *, alternatives: bool = False) -> None:
        """`alternatives`: whether to print other texts below each text."""
        self.output = output
        self._alternatives = alternatives
        self._partials = LivePartials(output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._partials.clear()

    async def report(self, event: Event, sessions: SessionEndings, *, is_own: bool) -> None:
        """Print the event, and on stderr what was lost in a session, or why it has no text."""
        if event.name == "partial-transcribed":
            self._partials.show(event)
            return
        self._partials.settle(event)
        await _report(event, sessions, self.output, is_own=is_own)
        if self._alternatives and not self.output.as_json and event.name == "transcribed":
            for line in alternative_lines(event.fields.get("alternatives", ())):
                self.output.result({}, line)
        self._partials.redraw()


async def _follow_all(daemon: DaemonClient, once: bool, printer: _Printer) -> Exit:
    """Print until interrupted; with `once` until a session has ended."""
    output = printer.output
    sessions = SessionEndings(daemon)
    sessions.begin()
    while (event := await daemon.next_event()).name != "interrupted":
        if event.name in {"started", "daemon-connected"}:
            sessions.begin()
        await printer.report(event, sessions, is_own=False)
        if not once and event.fields.get("reason") == "microphone-lost":
            output.warning(f"Session {event.session}: {_LOST}")
        if once and event.name in _ENDS:
            return _verdict(event)
        if event.name == "daemon-disconnected":
            output.note("coldvoxd has left the bus; waiting for it.")
    return Exit.DONE


async def _follow_own(daemon: DaemonClient, session: int, printer: _Printer) -> Exit:
    """Print until the session has ended. An interrupt stops it; a second one exits, which cancels it.

    If the daemon crashes, it has COMES_BACK_S seconds to return and complete the session.
    """
    sessions = SessionEndings(daemon)
    sessions.begin()
    stopping: asyncio.Future[str] | None = None
    deadline_s: float | None = None
    while True:
        try:
            async with asyncio.timeout_at(deadline_s):
                event = await daemon.next_event()
        except TimeoutError:
            return _verdict(Event("daemon-disconnected", {}))
        if event.name == "interrupted":
            if deadline_s is not None:
                return _verdict(Event("daemon-disconnected", {}))
            if stopping is not None:
                return Exit.INTERRUPTED
            stopping = asyncio.ensure_future(daemon.stop())
            stopping.add_done_callback(_retrieve)
        elif event.session in (session, 0):
            await printer.report(event, sessions, is_own=True)
            if event.name == "daemon-disconnected":
                printer.output.note("coldvoxd has left the bus; waiting for it to return with the pending texts.")
                deadline_s = asyncio.get_running_loop().time() + COMES_BACK_S
            elif event.name == "stopped":
                if stopping is not None:
                    await asyncio.wait([stopping])
                return _verdict(event)


_ENDS = ("stopped", "daemon-disconnected")
_LOST = "The microphone was lost, and the session has ended: plug it in and start again."
_THROWN_AWAY = {"cancelled", "caller-left", "microphone-lost", "restarted", "shutdown"}
"""Reasons that have an error of their own, or for which no text is expected."""


def _print(event: Event, output: Output) -> None:
    fields = {"event": event.name, **event.fields}
    output.result(fields, event.fields["text"] if event.name == "transcribed" else None)


async def _report(event: Event, sessions: SessionEndings, output: Output, *, is_own: bool) -> None:
    """Print the event, and on stderr what was lost in a session that has ended regularly, or why it has no text."""
    if event.name != "stopped" or event.fields["reason"] in _THROWN_AWAY:
        _print(event, output)
        return
    ending = await sessions.ending(event.fields["transcript"], may_be_private=not is_own)
    _print(Event(event.name, {**event.fields, **ending.fields}), output)
    if ending.has_gaps:
        output.warning(GAPS if is_own else f"Session {event.session}: {GAPS}")
    if ending.reason is not None:
        reason = ending.reason.sentence
        output.warning(reason if is_own else f"Session {event.session} returned no text here. {reason}")


def _verdict(end: Event) -> Exit:
    match end.fields.get("reason"):
        case "microphone-lost":
            raise NoMicrophone(_LOST)
        case "restarted":
            raise DaemonUnreachable(
                "coldvoxd crashed and was restarted; the text of its recorded audio is printed. Start again."
            )
        case "shutdown" | None:
            raise DaemonUnreachable(
                "coldvoxd has exited, and the session has ended: see `journalctl --user -u coldvoxd`."
            )
        case "cancelled" | "caller-left":
            raise ColdvoxError("The session was cancelled, and its texts were discarded.")
        case _:
            return Exit.DONE


def _retrieve(stopping: "asyncio.Future[str]") -> None:
    """Ignore the call's error if the session has ended: its event reports how, and it may have ended just before."""
    if not stopping.cancelled():
        stopping.exception()
