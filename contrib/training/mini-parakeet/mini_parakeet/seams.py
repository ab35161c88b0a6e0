"""What stands at a seam: the mark before it and the letter after it, where a speaker paused."""

from __future__ import annotations

from dataclasses import dataclass

from mini_parakeet.composition import ALWAYS_CAPITAL, MARKS
from mini_parakeet.grammar import bare_words

SENTENCE_ENDS = ".?"


def matches(recognized: list[str], reference: list[str]) -> dict[int, int]:
    """Which word of `recognized` stands for which of `reference` (index by index) in a cheapest alignment."""
    rows = [[0] * (len(recognized) + 1) for _ in range(len(reference) + 1)]
    for i in range(len(reference) + 1):
        for j in range(len(recognized) + 1):
            if i == 0 or j == 0:
                rows[i][j] = i + j
            else:
                differs = reference[i - 1] != recognized[j - 1]
                rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + differs)
    found: dict[int, int] = {}
    i, j = len(reference), len(recognized)
    while i and j:
        if rows[i][j] == rows[i - 1][j - 1] + (reference[i - 1] != recognized[j - 1]):
            i, j = i - 1, j - 1
            if reference[i] == recognized[j]:
                found[i] = j
        elif rows[i][j] == rows[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return found


def goes_on(before: str, after: str) -> bool:
    """Whether two words stand as within a sentence: no mark or a comma, then a small letter."""
    name = after.rstrip(MARKS) in ALWAYS_CAPITAL
    return before[-1] not in SENTENCE_ENDS and (name or after[0].islower())


def ends(before: str, after: str) -> bool:
    """Whether two words stand as at the end of one sentence and the beginning of the next."""
    return before[-1] in SENTENCE_ENDS and after[0].isupper()


@dataclass(slots=True)
class Tally:
    """Seams of one kind."""

    clips: int = 0
    same_words: int = 0
    """Clips in which the pause changed no word."""
    judged: int = 0
    """Seams whose two words were recognized side by side: others can't be judged."""
    right: int = 0

    @property
    def same_percent(self) -> float:
        return 100 * self.same_words / max(1, self.clips)

    @property
    def right_percent(self) -> float:
        return 100 * self.right / max(1, self.judged)

    def count(self, text: str, unpaused: str, reference: str, place: int, inside: bool) -> None:
        """`text` was recognized with a pause after `place` words of `reference`, `unpaused` without."""
        self.clips += 1
        self.same_words += bare_words(text) == bare_words(unpaused)
        words = text.split()
        found = matches([_bare(word) for word in words], [_bare(word) for word in reference.split()])
        first, second = found.get(place - 1), found.get(place)
        if first is None or second is None or second != first + 1:
            return
        self.judged += 1
        self.right += (goes_on if inside else ends)(words[first], words[second])


def _bare(word: str) -> str:
    return "".join(bare_words(word))
