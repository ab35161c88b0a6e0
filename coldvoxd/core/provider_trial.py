"""The trial by which `auto` decides between an accelerator and the CPU: the same recording on both, and what it means."""

from dataclasses import dataclass

VALID_S = 7 * 86_400
"""Seconds for which a trial counts. Drivers and libraries are part of its identity; what else changes shows within a week."""
MOST_ATTEMPTS = 2
"""Number of trials that may end without a result, because the process ended, before the accelerator is left alone."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial of an accelerator, begun or complete."""

    provider: str
    """Short name."""
    device: str
    """Name of its device; empty if nothing names it."""
    taken_s: float
    """Seconds since the epoch."""
    accelerator_s: float = 0.0
    """Shortest time of a run on the accelerator, in seconds; 0 while there is no result."""
    cpu_s: float = 0.0
    """The same on the CPU."""
    attempts: int = 0
    """Number of trials without a result so far."""

    @property
    def is_complete(self) -> bool:
        return self.accelerator_s > 0 and self.cpu_s > 0

    @property
    def speedup(self) -> float:
        """How many times as fast as the CPU the accelerator is. Only for a complete trial."""
        return self.cpu_s / self.accelerator_s

    def counts_at(self, now_s: float) -> bool:
        """Whether it is recent. One of the future was taken before the clock was set right."""
        return 0 <= now_s - self.taken_s <= VALID_S

    def is_fast_enough(self, min_speedup: float) -> bool:
        return self.is_complete and self.speedup >= min_speedup

    @property
    def place(self) -> str:
        """The provider with its device, for people."""
        return f"{self.provider} on {self.device}" if self.device else self.provider

    def told(self, min_speedup: float) -> str:
        """A sentence that says what `auto` uses because of this trial, and why."""
        if not self.is_complete:
            return f"auto uses the CPU: the process ended {self.attempts} times while it tried {self.place}."
        times = f"{self.accelerator_s:.3f} s, the CPU {self.cpu_s:.3f} s"
        if self.is_fast_enough(min_speedup):
            return f"auto uses {self.place}: it took {times} for the golden clip."
        return f"auto uses the CPU: {self.place} took {times} for the golden clip."
