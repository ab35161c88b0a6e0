"""Outcomes of sessions: a problem code and a notification if there was speech and no words were recognized."""

import asyncio
import logging
from collections.abc import Callable

from coldvoxd.core.failover_notice import Notice
from coldvoxd.core.metrics import Count, Metrics
from coldvoxd.core.problems import Problem
from coldvoxd.dictation import no_words_notice
from coldvoxd.dictation.no_words_notice import NoWordsState, Outcome

log = logging.getLogger(__name__)


class Outcomes:
    """Counts and reports outcomes. A ProblemSource; event loop only."""

    def __init__(
        self,
        metrics: Metrics,
        notify: Callable[[Notice], None],
        *,
        is_muted: Callable[[], bool] = lambda: False,
        without_words: bool = False,
    ) -> None:
        """`notify` shows a notification, which never contains spoken text.

        `is_muted` returns whether the microphone is currently muted. `without_words` is the value of that property in
        the process that this one replaced.
        """
        self._metrics = metrics
        self._notify = notify
        self._is_muted = is_muted
        self._state = NoWordsState(holds=without_words)

    @property
    def without_words(self) -> bool:
        """Whether no words were recognized in the last session with speech."""
        return self._state.holds

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Implements ProblemSource."""
        return (Problem.NO_WORDS,) if self._state.holds else ()

    def note(self, outcome: Outcome) -> None:
        """Record the outcome of a session that has ended, or of a retry that has recognized words."""
        if outcome in {Outcome.NO_WORDS, Outcome.FAILED}:
            self._metrics.count(Count.SESSIONS_WITHOUT_WORDS)
            log.warning("the session had speech and returned no words (%s)", outcome)
        if outcome is Outcome.SILENCE and self._is_muted():
            outcome = Outcome.MUTED
        self._state, notice = no_words_notice.step(self._state, outcome, asyncio.get_running_loop().time())
        if notice is not None:
            self._notify(notice)
