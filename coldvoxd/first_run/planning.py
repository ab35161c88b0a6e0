"""What a first run measures, in which order, and how its time is divided. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from coldvoxd.core.values import Precision

CPU = "cpu"
BUDGET_S = 600.0
LEAST_S = 0.3
"""A step with less time than this is left out."""
SPARE_BYTES = 500_000_000
"""Memory that stays free for the rest of the machine."""
OVERHEAD_BYTES = 600_000_000
"""Memory for Python, ONNX Runtime, and 30 s of audio."""
GROWTH = 1.15
"""Largest memory use of a model on the CPU without that, as a multiple of the size of its files. With weights in the size of the published
ones the whole was 2,827 MiB in fp32, of 2.5 GB, and 1,104 MiB in int8, of 0.66 GB (contrib/bench/results/random.md)."""
GROWTH_ELSEWHERE = 2.0
"""The same with an accelerator, whose library may read the weights before it copies them. Not measured with a GPU."""


class Step(StrEnum):
    """A part of a first run."""

    FILES = "files"
    """Size and hash of each file."""
    LOAD = "load"
    SPEECH = "speech"
    """The golden clip, and the word errors of all recordings."""
    SPEED = "speed"
    """Times of 3 s of speech, and memory."""
    PAGE = "page"
    """What the user read."""
    LENGTHS = "lengths"
    """Words lost in long utterances, and holes."""
    PAUSES = "pauses"
    """Hangovers and seams."""
    SILENCE = "silence"
    """Dither."""
    PARTIALS = "partials"
    PEER = "peer"
    """The tokens of onnx-asr."""


WEIGHTS: dict[Step, float] = {
    Step.FILES: 8,
    Step.LOAD: 10,
    Step.SPEECH: 8,
    Step.SPEED: 8,
    Step.PAGE: 8,
    Step.LENGTHS: 10,
    Step.PAUSES: 30,
    Step.SILENCE: 10,
    Step.PARTIALS: 8,
    Step.PEER: 10,
}
"""Shares of the time. What a step does not need goes to the later ones."""
NEEDS_SPEECH = frozenset({Step.PAGE, Step.LENGTHS, Step.PAUSES, Step.SILENCE, Step.PARTIALS, Step.PEER})
"""Steps that show nothing if the weights do not understand speech."""
OF_ALL = (Step.LOAD, Step.SPEECH, Step.SPEED, Step.PAGE)
OF_MAIN = (*OF_ALL, Step.LENGTHS, Step.PAUSES, Step.SILENCE, Step.PARTIALS)


@dataclass(frozen=True, slots=True)
class Variant:
    """A precision on an execution provider."""

    precision: Precision
    provider: str = CPU
    """Short name."""
    is_prepared: bool = False
    """Whether the CPU maps the prepared form instead of loading the model's files."""
    is_main: bool = False
    """Whether settings are measured with it."""

    @property
    def name(self) -> str:
        """`fp32 on cpu`."""
        return f"{self.precision} on {self.provider}{', prepared' if self.is_prepared else ''}"


@dataclass(frozen=True, slots=True)
class Task:
    """A step of a variant; of none for the files."""

    step: Step
    variant: Variant | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.step}, {self.variant.name}" if self.variant else str(self.step)


def tasks_of(variant: Variant, *, has_page: bool) -> list[Task]:
    """Return the steps of a variant in their order."""
    steps: Sequence[Step] = OF_MAIN if variant.is_main else OF_ALL
    if variant.precision is Precision.INT8 and variant.provider == CPU and not variant.is_prepared:
        steps = OF_MAIN if variant.is_main else (*OF_ALL, Step.LENGTHS)  # int8 is reported to lose words in long speech
    return [Task(step, variant) for step in steps if has_page or step is not Step.PAGE]


def allowance(remaining_s: float, first: Task, others: Iterable[Task]) -> float:
    """Return the seconds that a task may take, of those that remain for it and the others."""
    total = WEIGHTS[first.step] + sum(WEIGHTS[task.step] for task in others)
    return max(0.0, remaining_s) * WEIGHTS[first.step] / total


def needed_bytes(source_bytes: int, variant: Variant) -> int:
    """Return the memory that a variant takes at most, with weights of this size on the disk."""
    if variant.is_prepared:  # mapped, so that its pages can be reclaimed
        return OVERHEAD_BYTES
    return round(source_bytes * (GROWTH if variant.provider == CPU else GROWTH_ELSEWHERE)) + OVERHEAD_BYTES
