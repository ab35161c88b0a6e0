"""The budget of speculative recognition: whether it may begin before the end of the utterance is certain.

A recognition that began in a pause is wasted if speech continues. Useful and wasted recognition are added up in seconds. A
speculative run may begin while the waste is within its share of the useful time, plus an initial allowance. Old figures count
less and less: once both together exceed `MEMORY_S`, they are halved. So a speaker who often pauses within sentences waits
somewhat longer for each text, and no machine does more extra work than the share allows.
"""

from dataclasses import dataclass

INITIAL_ALLOWANCE_S = 2.0
"""Seconds of waste that a share of 1 allows before anything useful was done."""
MEMORY_S = 120.0
"""Seconds of recognition after which the figures are halved."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Useful and wasted recognition so far, in seconds."""

    used_s: float = 0.0
    wasted_s: float = 0.0

    def allows(self, share: float) -> bool:
        """Whether a speculative run may begin if at most this share of the useful time may be wasted."""
        return share > 0 and self.wasted_s <= share * (INITIAL_ALLOWANCE_S + self.used_s)

    def used(self, seconds: float) -> "Budget":
        """The budget after a recognition whose text was used."""
        return _faded(self.used_s + seconds, self.wasted_s)

    def wasted(self, seconds: float) -> "Budget":
        """The budget after a recognition that was discarded."""
        return _faded(self.used_s, self.wasted_s + seconds)


def _faded(used_s: float, wasted_s: float) -> Budget:
    if used_s + wasted_s <= MEMORY_S:
        return Budget(used_s, wasted_s)
    return Budget(used_s / 2, wasted_s / 2)
