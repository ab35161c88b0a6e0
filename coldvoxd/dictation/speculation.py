"""The budget of speculation: whether recognition may begin before it is certain that the utterance is over.

Theory of operation. A recognition that was begun early and then was in vain is a waste of processor time, and of the
battery. What was useful and what was wasted are added up in seconds; recognition may begin early while the waste is
within its share of what was useful, plus a little to begin with. What is long past counts less and less: once both
together exceed `MEMORY_S`, they are halved. Speakers who pause often in the middle of their sentences so come to wait
somewhat longer, and nobody's machine works more than the share allows.
"""

from dataclasses import dataclass

BEGIN_WITH_S = 2.0
"""Of waste, for a share of 1, before anything useful was done."""
MEMORY_S = 120.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What recognition was worth so far, in seconds."""

    used_s: float = 0.0
    wasted_s: float = 0.0

    def allows(self, share: float) -> bool:
        """Whether another may begin early, where at most such a share may be in vain."""
        return share > 0 and self.wasted_s <= share * (BEGIN_WITH_S + self.used_s)

    def used(self, seconds: float) -> "Budget":
        """A recognition gave its text."""
        return _faded(self.used_s + seconds, self.wasted_s)

    def wasted(self, seconds: float) -> "Budget":
        """A recognition was in vain."""
        return _faded(self.used_s, self.wasted_s + seconds)


def _faded(used_s: float, wasted_s: float) -> Budget:
    if used_s + wasted_s <= MEMORY_S:
        return Budget(used_s, wasted_s)
    return Budget(used_s / 2, wasted_s / 2)
