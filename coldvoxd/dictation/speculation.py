"""Budget of speculative recognition: whether a run may start before the end of the utterance is certain.

A recognition that started in a pause is wasted if speech continues. Useful and wasted recognition times are summed in
seconds. A speculative run may start while the waste is within its share of the useful time, plus an initial allowance.
The weight of old figures decays: once both together exceed `MEMORY_S`, they are halved. So a speaker who often pauses
within sentences waits somewhat longer for each text, and no machine does more extra work than the share allows.
"""

from dataclasses import dataclass

INITIAL_ALLOWANCE_S = 2.0
"""Seconds of waste that a share of 1 allows before any useful recognition."""
MEMORY_S = 120.0
"""Seconds of recognition after which the figures are halved."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Useful and wasted recognition time so far, in seconds."""

    used_s: float = 0.0
    wasted_s: float = 0.0

    def allows(self, share: float) -> bool:
        """Return whether a speculative run may start if at most this share of the useful time may be wasted."""
        return share > 0 and self.wasted_s <= share * (INITIAL_ALLOWANCE_S + self.used_s)

    def used(self, seconds: float) -> "Budget":
        """Return the budget after a recognition of `seconds` whose text was used."""
        return _faded(self.used_s + seconds, self.wasted_s)

    def wasted(self, seconds: float) -> "Budget":
        """Return the budget after a recognition of `seconds` that was discarded."""
        return _faded(self.used_s, self.wasted_s + seconds)


def _faded(used_s: float, wasted_s: float) -> Budget:
    if used_s + wasted_s <= MEMORY_S:
        return Budget(used_s, wasted_s)
    return Budget(used_s / 2, wasted_s / 2)
