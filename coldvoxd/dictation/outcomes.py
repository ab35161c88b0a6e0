"""What sessions came to, for people: a problem code, and a notification, where a person spoke and there are no words."""

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
    """A ProblemSource. Event loop only; `notify` shows a notification, which never holds spoken text."""

    def __init__(
        self,
        metrics: Metrics,
        notify: Callable[[Notice], None],
        *,
        is_muted: Callable[[], bool] = lambda: False,
        without_words: bool = False,
    ) -> None:
        """`is_muted` says whether the microphone is muted now; `without_words` is what the process before this one knew."""
        self._metrics = metrics
        self._notify = notify
        self._is_muted = is_muted
        self._state = NoWordsState(holds=without_words)

    @property
    def without_words(self) -> bool:
        """Whether the last session with speech gave no words."""
        return self._state.holds

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (Problem.NO_WORDS,) if self._state.holds else ()

    def note(self, outcome: Outcome) -> None:
        """A session has ended, or its last utterance was recognized again."""
        if outcome in {Outcome.NO_WORDS, Outcome.FAILED}:
            self._metrics.count(Count.SESSIONS_WITHOUT_WORDS)
            log.warning("the session held speech and gave no words (%s)", outcome)
        if outcome is Outcome.SILENCE and self._is_muted():
            outcome = Outcome.MUTED
        self._state, notice = no_words_notice.step(self._state, outcome, asyncio.get_running_loop().time())
        if notice is not None:
            self._notify(notice)
