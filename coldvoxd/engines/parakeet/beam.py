"""Beam search of a transducer: of one with durations (TDT), and of one without (RNN-T). Pure.

Token sequences are followed frame by frame. A sequence that a duration takes several frames ahead waits there. Sequences that
are equal at a frame are one, whose probability is the sum of theirs: they read the same tokens, so everything that follows is the
same. Source: Graves, "Sequence Transduction with Recurrent Neural Networks" (2012), section 2.5, with the durations of
Xu et al. (2023) in place of the step to the next frame, and the limit of tokens a frame that greedy decoding has.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import OutputNotFinite
from coldvoxd.core.values import Token
from coldvoxd.engines.parakeet.tdt import MAX_TOKENS_PER_STEP, Transducer

MARGIN = 8.0
"""A sequence whose probability is less than e^-8 of the best one that is as far, or further, is dropped."""

STATES_KEPT_FRAMES = 16
"""Frames after which the states of sequences that were dropped are forgotten: each has kilobytes."""

Scores = npt.NDArray[np.float64]


class ResumableTransducer(Transducer, Protocol):
    """A transducer that can go back to a state. A state is opaque, and stays valid."""

    def kept(self, token: int | None = None) -> Any:
        """Return the state after the tokens read and, if given, this one, which may be read after the last score."""
        ...

    def resume(self, state: Any) -> None:
        """Continue from a state: the tokens read before `kept` have been read, and no other."""
        ...


class Vocabulary(Protocol):
    """Words that the search should prefer. A state stands for the tokens read, and is opaque."""

    def begin(self) -> Any:
        """Return the state before any token."""
        ...

    def wanted(self, state: Any) -> Collection[int]:
        """Return the tokens that are tried in this state, however improbable they are."""
        ...

    def step(self, state: Any, token: int) -> tuple[Any, float]:
        """Return the state after a token, and what is added to the logarithm of the sequence's probability for it."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A token sequence that the search ended with."""

    tokens: tuple[Token, ...]
    """With the frames and durations of its most probable alignment."""
    log_probability: float
    """Natural logarithm of the sum of the probabilities of its alignments that were followed."""


@dataclass(slots=True, eq=False)
class _Node:
    """A token sequence. There is one node for each, so equal sequences are the same object."""

    state: Any
    """None while no path has this sequence."""
    words: Any = None
    gain: float = 0.0
    """Sum of the vocabulary's."""
    children: "dict[int, _Node]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Emitted:
    token: Token
    before: "_Emitted | None"


@dataclass(slots=True)
class _Path:
    """A token sequence at a frame."""

    node: _Node
    log_probability: float
    best: float
    """Of its most probable alignment, which `emitted` is."""
    emitted: _Emitted | None = None

    @property
    def rank(self) -> float:
        return self.log_probability + self.node.gain


class _Pool:
    """The sequences at one frame."""

    def __init__(self) -> None:
        self._paths: dict[_Node, _Path] = {}

    def add(self, path: _Path) -> None:
        """Add a path. One of an equal sequence becomes one path with it."""
        known = self._paths.setdefault(path.node, path)
        if known is path:
            return
        known.log_probability = float(np.logaddexp(known.log_probability, path.log_probability))
        if path.best > known.best:
            known.best, known.emitted = path.best, path.emitted

    def __iter__(self) -> Iterator[_Path]:
        return iter(self._paths.values())

    def ranked(self, most: int) -> list[_Path]:
        return sorted(self._paths.values(), key=lambda path: path.rank, reverse=True)[:most]

    @property
    def top(self) -> float:
        return max((path.rank for path in self._paths.values()), default=-math.inf)


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """The search of one utterance. `run` is called once."""

    transducer: ResumableTransducer
    blank: int
    """The vocabulary's last id; logits after it score durations of 0, 1, 2, ... frames. Without any, the model is an RNN-T."""
    beam_size: int
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP
    before: Sequence[int] = ()
    """Tokens that the transducer reads first, as if they had been decoded."""
    excluded: npt.NDArray[np.bool_] | None = None
    """bool (vocabulary,): tokens that no sequence has."""
    temperature: float = 1.0
    vocabulary: Vocabulary | None = None
    stop: CancellationToken | None = None
    _with_state: list[_Node] = field(default_factory=list)

    def run(self, encoded: npt.NDArray[np.float32]) -> list[Found]:
        """Return at most `beam_size` token sequences in encoder frames, float32 (frames, encoder size), best first.

        Raises as `tdt.greedy`.
        """
        frames, reached = len(encoded), 0
        pools = [_Pool() for _ in range(frames + 1)]
        pools[0].add(_Path(self._root(encoded), 0.0, 0.0))
        for frame in range(frames):
            if frame % STATES_KEPT_FRAMES == 0:
                self._forget_states(pools[frame : reached + 1])
            ahead = max((pool.top for pool in pools[frame + 1 : reached + 1]), default=-math.inf)
            paths = pools[frame].ranked(self.beam_size)
            pools[frame] = _Pool()
            for emitted_here in range(self.max_tokens_per_step + 1):
                stay = _Pool()
                top = max(ahead, paths[0].rank if paths else ahead)
                for path in paths:
                    if path.rank < top - MARGIN:
                        break
                    if emitted_here == self.max_tokens_per_step:
                        pools[frame + 1].add(path)
                        reached = max(reached, frame + 1)
                        continue
                    for duration, following in self._expanded(path, frame, encoded[frame]):
                        target = min(frame + duration, frames)
                        (pools[target] if duration else stay).add(following)
                        reached = max(reached, target)
                paths = stay.ranked(self.beam_size)
                if not paths:
                    break
                ahead = max((pool.top for pool in pools[frame + 1 : reached + 1]), default=-math.inf)
        return [Found(_tokens(path.emitted), path.log_probability) for path in pools[frames].ranked(self.beam_size)]

    def _root(self, encoded: npt.NDArray[np.float32]) -> _Node:
        self.transducer.begin()
        for token in self.before if len(encoded) else ():
            if self.stop is not None:
                self.stop.check()
            self.transducer.score(encoded[0])  # a token is read after a score
            self.transducer.read(token)
        root = _Node(self.transducer.kept(), None if self.vocabulary is None else self.vocabulary.begin())
        self._with_state.append(root)
        return root

    def _expanded(self, path: _Path, frame: int, encoder_frame: npt.NDArray[np.float32]) -> Iterator[tuple[int, _Path]]:
        """Yield what may follow a path at a frame, with the durations; 0 stays at the frame."""
        if self.stop is not None:
            self.stop.check()
        self.transducer.resume(path.node.state)
        logits = self.transducer.score(encoder_frame)
        if not np.isfinite(logits.max()):  # max returns any NaN
            raise OutputNotFinite(
                f"the decoder's output at encoder frame {frame} is not finite; the same audio may succeed on another provider"
            )
        scores = log_softmax(logits[: self.blank + 1])
        durations = log_softmax(logits[self.blank + 1 :])
        confident = scores if self.temperature == 1 else log_softmax(logits[: self.blank + 1] / self.temperature)
        if self.excluded is not None:
            scores = np.where(self.excluded, -np.inf, scores)
        for duration, log_probability in _after_blank(durations):
            gained = float(scores[self.blank]) + log_probability
            yield duration, _Path(path.node, path.log_probability + gained, path.best + gained, path.emitted)
        for token in self._candidates(path.node, scores):
            node = self._child(path.node, token)
            for duration, log_probability in enumerate(durations) if len(durations) else ((0, 0.0),):
                if log_probability < durations.max(initial=0.0) - MARGIN:
                    continue
                gained = float(scores[token] + log_probability)
                emitted = _Emitted(Token(token, frame, duration, float(confident[token])), path.emitted)
                yield duration, _Path(node, path.log_probability + gained, path.best + gained, emitted)

    def _candidates(self, node: _Node, scores: Scores) -> Collection[int]:
        """Return the tokens that may follow: the most probable ones, and those that the vocabulary wants."""
        tokens = scores[: self.blank]
        most = min(self.beam_size, len(tokens))
        best = np.argpartition(tokens, len(tokens) - most)[len(tokens) - most :]
        least = scores.max() - MARGIN
        found = {int(token) for token in best if tokens[token] >= least}
        if self.vocabulary is not None:
            found |= {token for token in self.vocabulary.wanted(node.words) if math.isfinite(tokens[token])}
        return found

    def _child(self, node: _Node, token: int) -> _Node:
        """Return the sequence with one more token. The transducer has just scored `node`."""
        child = node.children.get(token)
        if child is None:
            child = node.children[token] = _Node(None, gain=node.gain)
            if self.vocabulary is not None:
                child.words, gain = self.vocabulary.step(node.words, token)
                child.gain += gain
        if child.state is None:
            child.state = self.transducer.kept(token)
            self._with_state.append(child)
        return child

    def _forget_states(self, pools: Iterable[_Pool]) -> None:
        """Forget the states of sequences that no path has any more."""
        used = {path.node for pool in pools for path in pool}
        for node in self._with_state:
            if node not in used:
                node.state = None
        self._with_state[:] = [node for node in self._with_state if node.state is not None]


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> Scores:
    """Natural logarithms of softmax(logits), float64 (n,); empty of none."""
    if not len(logits):
        return np.zeros(0)
    shifted: Scores = logits.astype(np.float64) - logits.max()
    shifted -= np.log(np.exp(shifted).sum())
    return shifted


def _after_blank(durations: Scores) -> Iterator[tuple[int, float]]:
    """Yield the durations of a blank with their logarithms: a blank of no duration leads to the next frame."""
    if len(durations) < 2:
        yield 1, 0.0
        return
    yield 1, float(np.logaddexp(durations[0], durations[1]))
    least = durations.max() - MARGIN
    for duration in np.flatnonzero(durations[2:] >= least).tolist():
        yield duration + 2, float(durations[duration + 2])


def _tokens(emitted: _Emitted | None) -> tuple[Token, ...]:
    found = []
    while emitted is not None:
        found.append(emitted.token)
        emitted = emitted.before
    return tuple(reversed(found))
