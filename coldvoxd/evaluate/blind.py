"""Blind comparison of two runs by a person: which clips are asked in which order, and what the answers mean. Pure.

The confidence is that of the two-sided sign test: the probability that a person without a preference answers at least this unevenly.
Clips without a preference are left out of it, as usual. The interval of the share is Clopper's and Pearson's: C. J. Clopper and
E. S. Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, Biometrika 26 (1934).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from coldvoxd.core.errors import InvalidOption

SCHEMA = "coldvoxd-blind/1"
Document = Mapping[str, Any]
CONFIDENCE = 0.95
_HALVINGS = 60
_RUN: Mapping[str, tuple[type, ...]] = {"name": (str,), "variant": (str,), "noise": (str, type(None))}
_UTTERANCE: Mapping[str, tuple[type, ...]] = {
    "id": (str,),
    "file": (str,),
    "begin_s": (int, float),
    "audio_s": (int, float),
    "text": (str,),
}
"""Keys that are read of a run and of a clip, and the types of their values."""
_CHANGED = "The report is not as `coldvoxctl evaluate` writes it: make a new one."


class Choice(StrEnum):
    """What a person prefers."""

    A = "A"
    B = "B"
    EQUAL = "equal"


@dataclass(frozen=True, slots=True)
class Question:
    """A clip for which two runs have different texts."""

    id: str
    file: str
    begin_s: float
    audio_s: float
    a: str = field(repr=False)
    b: str = field(repr=False)
    swapped: bool
    """Whether B's text is shown first."""

    @property
    def shown(self) -> tuple[str, str]:
        """Return both texts in the order in which they are shown."""
        return (self.b, self.a) if self.swapped else (self.a, self.b)

    def choice(self, first: bool) -> Choice:
        """Return whose text was chosen: the one that was shown first, or the other."""
        return Choice.B if first is self.swapped else Choice.A


@dataclass(frozen=True, slots=True)
class Tally:
    """What was answered."""

    a: int
    b: int
    equal: int

    @classmethod
    def of(cls, choices: Sequence[Choice]) -> "Tally":
        return cls(*(sum(one is kind for one in choices) for kind in Choice))

    @property
    def p_value(self) -> float:
        """Return the probability of answers at least this uneven without any preference, 0..1; 1 without answers."""
        return sign_test(self.a, self.b)

    @property
    def share_of_b(self) -> float | None:
        """Return the share of the preferences that B has, 0..1; None without any."""
        return self.b / (self.a + self.b) if self.a + self.b else None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of that share."""
        return clopper_pearson(self.b, self.a + self.b)


def chosen_run(report: Document, name: str) -> Document:
    """Return the run of a report with this name, variant or number from 1; without a name the first one without noise.

    Raises InvalidOption if there is none, if its clips have noise, which is not in the recordings, or if it lacks their
    texts.
    """
    runs = _runs(report)
    matching = [
        run
        for number, run in enumerate(runs, 1)
        if (not name and run["noise"] is None)
        or name in {run["name"], str(number)}
        or (name == run["variant"] and run["noise"] is None)
    ]
    if not matching:
        names = ", ".join(f"{number}: {run['name']}" for number, run in enumerate(runs, 1))
        raise InvalidOption(f"The report has no run {name!r} without noise. It has {names or 'no run at all'}.")
    run: Document = matching[0]
    if run["noise"] is not None:
        raise InvalidOption(f"{run['name']} is in noise, which the recordings do not have: choose a clean run.")
    if "utterances" not in run:
        raise InvalidOption(
            "The report has no texts, as with --json: make one with `coldvoxctl evaluate DIRECTORY --output FILE.json`."
        )
    _check(run["utterances"], _UTTERANCE)
    return run


def _runs(report: Document) -> list[Document]:
    """Return the runs of a report. Raises InvalidOption if they are not as this version writes them."""
    runs: list[Document] = report.get("runs", [])
    _check(runs, _RUN)
    return runs


def _check(entries: object, types: Mapping[str, tuple[type, ...]]) -> None:
    """Raise InvalidOption unless these are a list of objects that have the keys with values of these types."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidOption(_CHANGED)
    for entry in entries:
        for key, allowed in types.items():
            value = entry.get(key, ...)
            if not isinstance(value, allowed) or (isinstance(value, int | float) and not 0 <= value < math.inf):
                raise InvalidOption(f"{_CHANGED} In it `{key}` is missing, or has another kind of value.")


def questions(a: Document, b: Document, most: int | None, seed: int) -> tuple[list[Question], int]:
    """Return the clips that both runs have with different texts, in random order, and the number of those with equal texts.

    At most `most` clips are returned. Raises InvalidOption if the runs have no clip in common.
    """
    others: Mapping[str, Any] = {one["id"]: one for one in b["utterances"]}
    pairs = [(one, others[one["id"]]) for one in a["utterances"] if one["id"] in others]
    if not pairs:
        raise InvalidOption("The two reports have no recording in common: measure both on the same data.")
    different = [(one, other) for one, other in pairs if one["text"].split() != other["text"].split()]
    chance = np.random.default_rng(seed)
    order = chance.permutation(len(different))[:most]
    found = [
        Question(
            different[index][0]["id"],
            different[index][0]["file"],
            different[index][0]["begin_s"],
            different[index][0]["audio_s"],
            different[index][0]["text"],
            different[index][1]["text"],
            bool(chance.integers(2)),
        )
        for index in map(int, order)
    ]
    return found, len(pairs) - len(different)


def sign_test(a: int, b: int) -> float:
    """Return the two-sided probability of a split at least this uneven if both are equally likely."""
    count = a + b
    tail = sum(math.comb(count, number) for number in range(min(a, b) + 1))
    return min(1.0, 2 * tail / (1 << count))


def clopper_pearson(successes: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact interval of a binomial share, 0..1; all of it without any trial."""
    if count == 0:
        return 0.0, 1.0
    each = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _solved(lambda share: 1 - _below(successes - 1, count, share) - each)
    high = 1.0 if successes == count else _solved(lambda share: each - _below(successes, count, share))
    return low, high


def _below(most: int, count: int, share: float) -> float:
    """Return the probability of at most this many successes."""
    terms = (
        math.comb(count, number) * math.pow(share, number) * math.pow(1 - share, count - number)
        for number in range(most + 1)
    )
    return math.fsum(terms)


def _solved(rising: Callable[[float], float]) -> float:
    """Return where a function that rises from 0 to 1 is zero."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def document(names: tuple[str, str], asked: Sequence[Question], choices: Sequence[Choice], same: int) -> dict[str, Any]:
    """Return the result: the tally, the sign test, and each answer by the clip's id. It holds no spoken text."""
    tally = Tally.of(choices)
    low, high = tally.interval
    return {
        "schema": SCHEMA,
        "a": names[0],
        "b": names[1],
        "preferred_a": tally.a,
        "preferred_b": tally.b,
        "equal": tally.equal,
        "same_text": same,
        "share_of_b": tally.share_of_b,
        "interval": [round(low, 4), round(high, 4)],
        "p_value": round(tally.p_value, 6),
        "answers": [{"id": one.id, "choice": str(choice)} for one, choice in zip(asked, choices, strict=False)],
    }


def verdict(report: Document) -> str:
    """Return the result in sentences."""
    a, b, p_value = report["preferred_a"], report["preferred_b"], report["p_value"]
    low, high = report["interval"]
    counts = f"A ({report['a']}) was preferred {a} times, B ({report['b']}) {b} times, neither {report['equal']} times."
    if not a + b:
        return f"{counts} Without a preference there is no result."
    winner = "A" if a > b else "B"
    found = f"{winner} is preferred" if p_value < 1 - CONFIDENCE and a != b else "No preference is certain"
    return (
        f"{counts} {found}: sign test, p = {p_value:.3g}; B's share is {report['share_of_b']:.0%}, 95 % interval {low:.0%} to "
        f"{high:.0%}. {report['same_text']} recordings have the same text in both and were not asked."
    )
