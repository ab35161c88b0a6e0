"""Problem codes: everything that can keep speech from becoming text, or slow it down, in order of severity."""

from collections.abc import Iterable
from enum import StrEnum


class Problem(StrEnum):
    """The codes of `Problems` and `Degraded` on the bus, most severe first: the order of declaration is the contract.

    First what keeps every word from being recognized, then what keeps it from being heard, then what may keep it from
    becoming text, then what makes recognition slower. Among the last, what no retry helps comes before what a new
    process helps, and that before what time helps.
    A new code is added here, at its rank, and to the prose of `Problems` in dbus/org.coldvox.Daemon1.xml.
    """

    MODEL_MISSING = "model-missing"
    """The model's files are not there; they may be on their way."""
    MODEL_INVALID = "model-invalid"
    """The model's files are there and cannot be loaded."""
    RESOURCES_EXHAUSTED = "resources-exhausted"
    """Too little memory, or too few threads, to load the model."""
    MICROPHONE_LOST = "microphone-lost"
    """No audio arrives although it should; the microphone is reopened again and again."""
    MICROPHONE_MUTED = "microphone-muted"
    """The microphone in use is muted, or its volume is zero."""
    NO_WORDS = "no-words"
    """The last session in which speech was heard gave no words."""
    MICROPHONE_QUIET = "microphone-quiet"
    """Speech has been so quiet for long that words are likely to be lost: the microphone's volume is low, or it is far away."""
    MICROPHONE_CHANNEL = "microphone-channel"
    """The microphone lacks the channel that the settings name, and is heard as with `auto`."""
    DRIVER_MISMATCH = "driver-mismatch"
    """The accelerator's driver does not fit its libraries, often after an upgrade; the CPU recognizes."""
    NO_GPU = "no-gpu"
    """The accelerator that was asked for cannot be used on this machine; the CPU recognizes."""
    GPU_LOST = "gpu-lost"
    """The accelerator stopped answering; only a new process can use it again."""
    GPU_FAULT = "gpu-fault"
    """A run on the accelerator failed."""
    GPU_MEMORY_ERRORS = "gpu-memory-errors"
    """The accelerator's memory had an error that cannot be corrected."""
    GPU_WRONG_OUTPUT = "gpu-wrong-output"
    """The accelerator computes wrongly: it fails the golden clip, or returns no numbers."""
    GPU_OUT_OF_MEMORY = "gpu-out-of-memory"
    """The accelerator has too little free memory."""
    GPU_TIMEOUT = "gpu-timeout"
    """A run or a load on the accelerator exceeded its time limit."""
    GPU_OVERHEATING = "gpu-overheating"
    """The accelerator reached its temperature limit, or throttles."""
    SLEEP = "sleep"
    """The machine slept, and the accelerator is not yet in use again."""


_RANKS = {problem: rank for rank, problem in enumerate(Problem)}


def by_severity(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each code once, most severe first."""
    return tuple(sorted(set(problems), key=_RANKS.__getitem__))
