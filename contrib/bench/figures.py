"""Benchmark figures and their goals."""

import fnmatch
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

OURS_BEFORE, ONNX_ASR, ANY = "ours*", "onnx-asr", "*"
RATIO_GOALS: tuple[tuple[str, str, float, bool], ...] = (
    ("end-of-speech-to-text-3s-*", OURS_BEFORE, 0.7, False),
    ("endpoint-to-text-*", OURS_BEFORE, 0.15, False),
    ("recognize-3s-*-all", ANY, 0.95, False),
    ("recognize-10s-*-all", ANY, 0.95, False),
    ("recognize-30s-*-all", ANY, 0.95, False),
    ("decoder-*-all", ONNX_ASR, 0.6, False),
    ("load-warm-*", ONNX_ASR, 0.4, True),
    ("ready-warm-*", ONNX_ASR, 0.1, True),
    ("anonymous-after-load-*", ONNX_ASR, 0.1, True),
    ("rss-after-load-int8", ONNX_ASR, 0.7, True),
    ("peak-at-30s-*", ONNX_ASR, 0.75, True),
    ("second-of-*s-*-all", OURS_BEFORE, 1.1, False),
    ("memory-after-*s-*-all", OURS_BEFORE, 1.1, True),
)
"""Figures by pattern, peer pattern, the highest ratio that meets the goal, and whether the goal requires a full-size
model: the small one loads in almost no time, and its memory is negligible beside Python's own."""
VALUE_GOALS: tuple[tuple[str, float], ...] = (
    ("idle-cpu", 0.01),
    ("idle-cpu-on-demand", 0.002),
    ("more-utterances-*", 0.0),
    ("other-texts-fp32-*", 0.0),
    ("other-texts-by-*-fp32", 0.0),
    ("other-texts-by-speculation-*", 0.0),
)
"""Goals for figures that have no peer."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison with a peer, or one figure of ours without a peer."""

    figure: str
    ours: float
    peer: float | None
    peer_name: str | None
    ratio: float | None
    """Ratio of our figure to the peer's: less is better."""
    goal: float | None
    unit: str
    times: int
    """Number of measurements per median."""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met; None if there is no goal."""
        if self.goal is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) <= self.goal

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def compared(
    name: str, ours: Sequence[float], peer: Sequence[float], peer_name: str, unit: str, *, full_size: bool
) -> Figure:
    """Return the medians of both and their ratio."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = _rounded(mine / theirs) if theirs else None
    wanted = (
        goal
        for pattern, of_peers, goal, asks_for_full_size in RATIO_GOALS
        if fnmatch.fnmatch(name, pattern)
        and fnmatch.fnmatch(peer_name, of_peers)
        and (full_size or not asks_for_full_size)
    )
    return Figure(
        name, _rounded(mine), _rounded(theirs), peer_name, ratio, next(wanted, None), unit, min(len(ours), len(peer))
    )


def alone(name: str, ours: Sequence[float], unit: str) -> Figure:
    """Return a median of ours that has no peer."""
    wanted = (goal for pattern, goal in VALUE_GOALS if fnmatch.fnmatch(name, pattern))
    return Figure(name, _rounded(statistics.median(ours)), None, None, None, next(wanted, None), unit, len(ours))


def _rounded(value: float) -> float:
    """Round to four significant digits, the precision of a measurement."""
    return float(f"{value:.4g}")
