"""Partial transcripts: the words of an utterance while it is still being spoken."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from coldvoxd.core.agreement import Agreement, whole_words
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.settings import DictationSettings
from coldvoxd.core.values import Utterance, samples_in
from coldvoxd.dictation.ports import RecognitionEngine
from coldvoxd.dictation.session import Session
from coldvoxd.dictation.sinks import Sinks

log = logging.getLogger(__name__)

LEAST_NEW_MS = 300
"""Milliseconds of new audio before the utterance is recognized again: about one word."""
SHARE = 0.5
"""Maximum share of time in which these runs may occupy the recognizer."""
SHARE_ON_BATTERY = 0.2


@dataclass(slots=True, eq=False)
class _Growing:
    """An utterance without a result yet, of which words may have been published."""

    start_sample: int
    number: int
    heard_sample: int
    """End of the audio that was last recognized."""
    agreement: Agreement
    shown: tuple[str, str] = ("", "")
    """The stable and the other words that clients have."""
    has_failed: bool = False


class Partials:
    """Recognizes the open utterance repeatedly while it grows, and publishes its words. Event loop only.

    A run starts only while nothing else is recognized, and any other recognition stops it (`Dispatcher`), so texts are not
    later. A run that is stopped or fails has no effect but its time. Nothing is published for a session that did not ask,
    after the end of a session, and while `may_show` returns False.
    """

    def __init__(self, engine: RecognitionEngine, sinks: Sinks, settings: DictationSettings) -> None:
        self.may_show: Callable[[], bool] = lambda: True
        """Whether words may be published now. Called before each run and before each publication."""
        self._engine = engine
        self._sinks = sinks
        self._for_all = settings.partials
        self._share = SHARE
        self._session: Session | None = None
        """The active session if it has partial transcripts."""
        self._growing: dict[int, _Growing] = {}
        """Its utterances without a result, by number; the last one may be open."""
        self._run: asyncio.Task[None] | None = None
        self._not_before_s = float("-inf")
        """Loop time of the next run."""
        self._loop = asyncio.get_running_loop()

    def use_settings(self, settings: DictationSettings) -> None:
        """Use settings from the next session on."""
        self._for_all = settings.partials

    def on_battery(self, discharging: bool) -> None:
        """Apply the share for battery power, or for mains power."""
        self._share = SHARE_ON_BATTERY if discharging else SHARE

    def begin(self, session: Session) -> None:
        """Handle the start of a session."""
        self.end()
        if self._for_all or session.options.partials:
            self._session = session

    def end(self) -> None:
        """Handle the end of the session: publish nothing more for it."""
        self.stop()
        self._session = None
        self._growing.clear()

    def stop(self) -> None:
        """Stop the run in progress: its utterance has paused or is complete, or its words must not be shown."""
        run, self._run = self._run, None
        if run is not None:
            run.cancel()

    def hear(self, session: Session) -> None:
        """Start a run after another frame of the session, if it is time."""
        if session is not self._session or self._run is not None or not session.segmenter.is_speaking:
            return
        endpoint, fed_sample = session.segmenter.endpoint, session.segmenter.fed_sample
        growing = next((one for one in self._growing.values() if one.start_sample == endpoint.start_sample), None)
        heard_sample = endpoint.onset_sample if growing is None else growing.heard_sample
        if (
            fed_sample - heard_sample < samples_in(LEAST_NEW_MS)
            or self._loop.time() < self._not_before_s
            or (growing is not None and growing.has_failed)
            or (endpoint.overlap_samples and session.results.pending)  # it begins with words that have no text yet
            or not (self._engine.idle and self._engine.status.ready)
            or not self.may_show()
        ):
            return
        utterance = session.results.text.with_words_before(session.segmenter.utterance_so_far())
        self._run = asyncio.create_task(self._recognize(session, utterance), name="partial")
        self._run.add_done_callback(self._ended)

    def note(self, session: Session, utterance: Utterance, text: str) -> None:
        """Publish the text of an utterance so far, which may still grow."""
        if session is not self._session:
            return
        growing = self._growing_of(utterance)
        growing.heard_sample = utterance.own_end_sample
        growing.agreement = growing.agreement.with_hypothesis(text)
        self._show(session, growing, growing.agreement.stable_text, growing.agreement.unstable_text)

    def forget(self, number: int) -> None:
        """Publish nothing more for an utterance, because its text is about to be published."""
        self._growing.pop(number, None)

    def withdraw(self, session: Session, number: int) -> None:
        """Publish that an utterance has no text, if words of it were published."""
        growing = self._growing.pop(number, None)
        if growing is not None and session is self._session:
            self._show(session, growing, "", "")

    def hide(self) -> None:
        """Publish that the words so far are void for now: `may_show` has become False."""
        self.stop()
        for growing in self._growing.values():
            if self._session is not None:
                self._show(self._session, growing, "", "")

    def _growing_of(self, utterance: Utterance) -> _Growing:
        first = _Growing(utterance.own_start_sample, utterance.id, utterance.own_start_sample, Agreement())
        return self._growing.setdefault(utterance.id, first)

    def _show(self, session: Session, growing: _Growing, stable: str, unstable: str) -> None:
        if growing.shown == (stable, unstable) or ((stable or unstable) and not self.may_show()):
            return
        growing.shown = (stable, unstable)
        self._sinks.announcer.partial_transcribed(session.id, growing.number, stable, unstable, session.text_recipient)

    async def _recognize(self, session: Session, utterance: Utterance) -> None:
        journal, began_s = self._sinks.journal, self._loop.time()
        journal.attempt(session.id, utterance.id)
        try:
            hypothesis = await self._engine.recognize_partial(utterance)
        except Exception as error:
            self._growing_of(utterance).has_failed = True
            if not isinstance(error, ColdvoxError):
                raise
            log.debug("partial recognition of utterance %d failed: %s", utterance.id, error)
            return
        finally:
            journal.survived(session.id, utterance.id)
            self._not_before_s = began_s + (self._loop.time() - began_s) / self._share
        if hypothesis is None:  # something else was recognized, or no recognizer is free
            self._not_before_s = max(self._not_before_s, self._loop.time() + LEAST_NEW_MS / 1000)
        else:
            self.note(session, utterance, whole_words(hypothesis, utterance.duration_s))

    def _ended(self, run: "asyncio.Task[None]") -> None:
        if run is self._run:
            self._run = None
        if not run.cancelled() and (error := run.exception()) is not None:
            log.error("partial recognition failed with an internal error", exc_info=error)
