"""The ledger: speech, obstacles and published texts; every sentence must be accounted for.

A sentence is published whole, exactly once and in order within its session; or a step made it unhearable, and then the
daemon has reported missing audio (a gap in GetMetrics, a muted microphone) or its process was replaced. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.bus.private_bus import Signal
from tests.support.daemon.published import Texts, padded, texts_of
from tests.support.faults.chaos.plan import BY_NAME, Unhearable
from tests.support.sound.speech import Sample

BEFORE_S = 0.3
"""Seconds after the end of an obstacle within which a sentence may still lose its beginning."""
HEARD_S = 0.8
"""Seconds until spoken audio is in the daemon's spool, even on a busy machine and through a sound server."""


@dataclass(slots=True, eq=False)
class Sentence:
    """A recording spoken in a session. Times are those of the event loop's clock, in seconds."""

    session: int
    sample: Sample
    begun_s: float
    ended_s: float = math.inf
    excused: str = ""
    """The step that may have cost the sentence, whenever it was spoken; empty if there is none."""


@dataclass(slots=True, eq=False)
class Obstacle:
    """A period in which speech may be unhearable."""

    step: str
    begun_s: float
    ended_s: float = math.inf
    reported: set[str] = field(default_factory=set)
    """The daemon's reports about it: `gap`, `muted`, `restarted`, `session ended`."""

    def covers(self, sentence: Sentence) -> bool:
        return sentence.begun_s - BEFORE_S < self.ended_s and sentence.ended_s + HEARD_S > self.begun_s


@dataclass(slots=True)
class Ledger:
    """Everything since the last `close`, which returns the errors."""

    sentences: list[Sentence] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)
    published: int = 0
    unhearable: dict[str, int] = field(default_factory=dict)
    """Number of unpublished sentences, by the step that made them unhearable."""

    def open(self, step: str, now_s: float) -> Obstacle:
        """Open an obstacle: the step may cost sentences from now to its end."""
        assert BY_NAME[step].unhearable not in {Unhearable.NONE, Unhearable.IF_IT_DIES}, step
        obstacle = Obstacle(step, now_s)
        self.obstacles.append(obstacle)
        return obstacle

    def excuse_unpublished(self, session: int, step: str, signals: Sequence[Signal]) -> None:
        """Excuse the session's sentences that have no text yet: the step may cost them."""
        assert BY_NAME[step].unhearable in {Unhearable.UNPUBLISHED, Unhearable.IF_IT_DIES}, step
        texts = padded(texts_of(session, signals).joined)
        for sentence in self.sentences:
            if sentence.session == session and padded(sentence.sample.said) not in texts:
                sentence.excused = sentence.excused or step

    def close(self, signals: Sequence[Signal]) -> list[str]:
        """Return one line per sentence that is not accounted for, and forget all sentences."""
        wrong = []
        published = [signal.body[0] for signal in signals if signal.member == "Transcribed"]
        for session in dict.fromkeys([*(sentence.session for sentence in self.sentences), *published]):
            spoken = [sentence for sentence in self.sentences if sentence.session == session]
            wrong += self._close_session(session, spoken, texts_of(session, signals))
        self.sentences.clear()
        self.obstacles = [obstacle for obstacle in self.obstacles if obstacle.ended_s == math.inf]
        return wrong

    def _close_session(self, session: int, spoken: Sequence[Sentence], got: Texts) -> list[str]:
        wrong = []
        if got.unmarked:
            wrong.append(f"session {session}: {got.unmarked} pairs of session and utterance were published twice")
        if list(got.texts) != sorted(got.texts):
            wrong.append(f"session {session}: utterances are out of order: {list(got.texts)}")
        rest, at, whole = padded(got.joined), -1, True
        for sentence in spoken:
            words = padded(sentence.sample.said)
            obstacles = [obstacle for obstacle in self.obstacles if obstacle.covers(sentence)]
            whole = whole and not obstacles and not sentence.excused
            count = padded(got.joined).count(words)
            if count > 1:
                wrong.append(f"{_named(sentence)} was published {count} times: {got.texts}")
            elif count == 1:
                found = padded(got.joined).index(words)
                self.published += 1
                if found < at:
                    wrong.append(f"{_named(sentence)} was published before an earlier sentence: {got.texts}")
                at = max(at, found)
                rest = rest.replace(words, "", 1)
            elif fault := self._missing(sentence, obstacles):
                wrong.append(
                    f"{fault}; texts of the session: {got.texts}, stops: {[reason for reason, _ in got.stops]}"
                )
        if whole and rest.strip():
            wrong.append(f"session {session}: published words that were not spoken: {rest.strip()!r} in {got.texts}")
        return wrong

    def _missing(self, sentence: Sentence, obstacles: Sequence[Obstacle]) -> str:
        """Return why the sentence must not be missing; empty if it may be."""
        reported = [obstacle for obstacle in obstacles if obstacle.reported]
        cause = sentence.excused or (reported[0].step if reported else "")
        if cause:
            self.unhearable[cause] = self.unhearable.get(cause, 0) + 1
            return ""
        if obstacles:
            steps = ", ".join(obstacle.step for obstacle in obstacles)
            return f"{_named(sentence)} was lost in “{steps}”, and the daemon reported nothing"
        return f"{_named(sentence)} is lost, though no step made it unhearable"


def _named(sentence: Sentence) -> str:
    when = f"spoken from {sentence.begun_s:.2f} to {sentence.ended_s:.2f} s"
    return f"session {sentence.session}: {sentence.sample.said!r}, {when},"
