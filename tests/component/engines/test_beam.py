"""Beam search, compared with the enumeration of all alignments on tables small enough for that, and with greedy decoding."""

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite, Stopped
from coldvoxd.engines.parakeet import beam
from coldvoxd.engines.parakeet.beam import BeamSearch, Found, log_softmax
from coldvoxd.engines.parakeet.tdt import decode_greedy

A, B, BLANK = 0, 1, 2
FRAMES, DURATIONS, LIMIT = 3, 3, 2
Prefix = tuple[int, ...]


class Tables:
    """A transducer with random scores of each frame and token sequence."""

    def __init__(self, seed: int, durations: int = DURATIONS, spread: float = 1.5) -> None:
        self._seed, self._spread, self.durations = seed, spread, durations
        self._read: Prefix = ()
        self._scored = False
        self.broken: Mapping[int, float] = {}
        """Value of the first score, by frame."""
        self._known: dict[tuple[int, Prefix], npt.NDArray[np.float32]] = {}
        self._shares: dict[tuple[int, Prefix], tuple[list[float], list[float]]] = {}

    def begin(self) -> None:
        self._read, self._scored = (), False

    def read(self, token: int) -> None:
        assert self._scored, "a token is read after a score"
        self._read, self._scored = (*self._read, token), False

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self._scored = True
        return self.at(int(encoder_frame[0]), self._read)

    def kept(self, token: int | None = None) -> Prefix:
        assert token is None or self._scored
        return self._read if token is None else (*self._read, token)

    def resume(self, state: Prefix) -> None:
        self._read, self._scored = state, False

    def at(self, frame: int, prefix: Prefix) -> npt.NDArray[np.float32]:
        if (frame, prefix) not in self._known:
            random = np.random.default_rng([self._seed, frame, len(prefix), *prefix])
            logits = random.normal(0, self._spread, BLANK + 1 + self.durations).astype(np.float32)
            logits[0] = self.broken.get(frame, logits[0])
            self._known[frame, prefix] = logits
        return self._known[frame, prefix]

    def probabilities(self, frame: int, prefix: Prefix) -> tuple[list[float], list[float]]:
        """Return those of tokens and of durations."""
        if (frame, prefix) not in self._shares:
            logits = self.at(frame, prefix)
            durations = np.exp(log_softmax(logits[BLANK + 1 :])) if self.durations else np.ones(1)
            self._shares[frame, prefix] = (np.exp(log_softmax(logits[: BLANK + 1])).tolist(), durations.tolist())
        return self._shares[frame, prefix]


def encoded(frames: int = FRAMES) -> npt.NDArray[np.float32]:
    return np.arange(frames, dtype=np.float32)[:, None]


def search(tables: Tables, beam_size: int = 4, **options: Any) -> list[Found]:
    return BeamSearch(tables, BLANK, beam_size, LIMIT, **options).run(encoded())


def ids(found: Found) -> Prefix:
    return tuple(token.id for token in found.tokens)


@dataclass(frozen=True, order=True)
class Alignment:
    probability: float
    places: tuple[tuple[int, int], ...]
    """Frame and duration of each token."""


def enumerated(tables: Tables) -> dict[Prefix, list[Alignment]]:
    """Return all alignments by token sequence."""
    found: defaultdict[Prefix, list[Alignment]] = defaultdict(list)

    def follow(frame: int, emitted: int, prefix: Prefix, alignment: Alignment) -> None:
        if frame >= FRAMES:
            found[prefix].append(alignment)
            return
        if emitted == LIMIT:
            follow(frame + 1, 0, prefix, alignment)
            return
        tokens, durations = tables.probabilities(frame, prefix)
        for token, (duration, share) in itertools.product((A, B, BLANK), enumerate(durations)):
            probability = alignment.probability * tokens[token] * share
            if token == BLANK:
                follow(frame + max(1, duration), 0, prefix, replace(alignment, probability=probability))
            else:
                longer = Alignment(probability, (*alignment.places, (frame, duration)))
                follow(frame + duration, 0 if duration else emitted + 1, (*prefix, token), longer)

    follow(0, 0, (), Alignment(1.0, ()))
    return dict(found)


def total(alignments: Sequence[Alignment]) -> float:
    return sum(alignment.probability for alignment in alignments)


@pytest.mark.parametrize("durations", [DURATIONS, 0])
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_wide_enough_finds_every_sequence_with_its_probability(
    monkeypatch: pytest.MonkeyPatch, seed: int, durations: int
) -> None:
    monkeypatch.setattr(beam, "MARGIN", math.inf)
    tables = Tables(seed, durations)
    every = enumerated(tables)
    found = search(tables, beam_size=10_000)
    assert {ids(one) for one in found} == set(every)
    for one in found:
        assert math.exp(one.log_probability) == pytest.approx(total(every[ids(one)]))
    assert sum(math.exp(one.log_probability) for one in found) == pytest.approx(1)
    assert found == sorted(found, key=lambda one: one.log_probability, reverse=True)


def test_the_tokens_of_a_sequence_are_those_of_its_best_alignment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam, "MARGIN", math.inf)
    for seed in range(3):
        tables = Tables(seed)
        every = enumerated(tables)
        for one in search(tables, beam_size=10_000):
            assert (
                tuple((token.encoder_frame, token.duration_frames) for token in one.tokens)
                == max(every[ids(one)]).places
            )


@pytest.mark.parametrize("durations", [DURATIONS, 0])
def test_a_narrow_beam_loses_little(durations: int) -> None:
    right = 0
    for seed in range(10):
        tables = Tables(seed, durations)
        best = max((total(parts), prefix) for prefix, parts in enumerated(tables).items())[1]
        right += ids(search(tables, beam_size=4)[0]) == best
    assert right >= 7


def test_a_sequence_with_many_alignments_is_preferred_to_one_with_the_best_alignment() -> None:
    """Greedy decoding follows the best alignment."""
    differing = 0
    for seed in range(10):
        tables = Tables(seed)
        greedy = tuple(token.id for token in decode_greedy(encoded(), tables, blank=BLANK, max_tokens_per_step=LIMIT))
        every = enumerated(tables)
        found = ids(search(tables, beam_size=8)[0])
        assert total(every[found]) >= total(every[greedy]) - 1e-9
        differing += found != greedy
    assert differing


@pytest.mark.parametrize("durations", [DURATIONS, 0])
@pytest.mark.parametrize("seed", range(10))
def test_where_the_model_is_certain_beam_and_greedy_are_one(seed: int, durations: int) -> None:
    tables = Tables(seed, durations, spread=60.0)
    greedy = decode_greedy(encoded(), tables, blank=BLANK, max_tokens_per_step=LIMIT)
    found = search(tables)[0].tokens
    assert [(token.id, token.encoder_frame, token.duration_frames) for token in found] == [
        (token.id, token.encoder_frame, token.duration_frames) for token in greedy
    ]
    assert [token.logprob for token in found] == pytest.approx([token.logprob for token in greedy], abs=1e-5)


def test_states_are_kept_while_a_sequence_may_continue_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = search(Tables(2))
    monkeypatch.setattr(beam, "STATES_KEPT_FRAMES", 1)
    assert search(Tables(2)) == wanted
    long = BeamSearch(Tables(2), BLANK, 4, LIMIT)
    long.run(encoded(60))
    assert len(long._with_state) < 100


def test_no_frames_give_one_empty_sequence() -> None:
    found = BeamSearch(Tables(1), BLANK, 4).run(encoded(0))
    assert [ids(one) for one in found] == [()]
    assert found[0].log_probability == 0


def test_at_most_as_many_sequences_as_the_beam_has() -> None:
    for size in (1, 2, 5):
        found = search(Tables(1), beam_size=size)
        assert 1 <= len(found) <= size
        assert len({ids(one) for one in found}) == len(found)


def test_excluded_tokens_are_in_no_sequence() -> None:
    excluded = np.array([True, False, False])
    for seed in range(10):
        assert all(A not in ids(one) for one in search(Tables(seed), excluded=excluded))


def test_a_temperature_changes_the_probabilities_of_tokens_and_nothing_else() -> None:
    tables = Tables(4)
    [cold, *_], [warm, *_] = search(tables), search(tables, temperature=2.0)
    assert (ids(cold), cold.log_probability) == (ids(warm), warm.log_probability)
    for one, other in zip(cold.tokens, warm.tokens, strict=True):
        prefix = ids(cold)[: cold.tokens.index(one)]
        logits = tables.at(one.encoder_frame, prefix)[: BLANK + 1]
        assert one.logprob == pytest.approx(log_softmax(logits)[one.id])
        assert other.logprob == pytest.approx(log_softmax(logits / 2)[one.id])


def test_the_tokens_before_are_read_and_not_returned() -> None:
    tables = Tables(5)
    [with_a, *_] = search(tables, before=(A,))
    assert with_a != search(tables)[0]
    assert all(token.encoder_frame < FRAMES for token in with_a.tokens)


class Preferred:
    """A vocabulary of one word of two tokens, with a gain for each that is taken back if the word does not follow."""

    WORD = (B, A)

    def __init__(self, gain: float) -> None:
        self._gain = gain

    def begin(self) -> int:
        return 0

    def wanted(self, state: int) -> Collection[int]:
        return (self.WORD[state],)

    def step(self, state: int, token: int) -> tuple[int, float]:
        if token == self.WORD[state]:
            return (state + 1) % len(self.WORD), self._gain
        return 0, -self._gain * state


def test_a_vocabulary_is_preferred_by_its_gain() -> None:
    with_word = {}
    for gain in (0.0, 2.0, 6.0):
        found = [search(Tables(seed), vocabulary=Preferred(gain))[0] for seed in range(20)]
        with_word[gain] = sum(Preferred.WORD in itertools.pairwise(ids(one)) for one in found)
    assert with_word[0.0] < with_word[2.0] <= with_word[6.0]
    assert with_word[6.0] >= 18


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_the_providers_fault(value: float) -> None:
    tables = Tables(1)
    tables.broken = {1: value}
    with pytest.raises(OutputNotFinite, match="frame 1"):
        search(tables)


def test_a_search_that_is_cancelled_ends() -> None:
    stop = CancellationToken()
    stop.ask()
    with pytest.raises(Stopped):
        search(Tables(1), stop=stop)
