"""Problem codes in order of severity: conditions that prevent recognition, lose words or slow it down."""

from collections.abc import Iterable
from enum import StrEnum


class Problem(StrEnum):
    """The codes of `Problems` and `Degraded` on the bus, most severe first: the order of declaration is the contract.

    First comes that another engine recognizes than the settings name, then conditions that prevent all recognition, then those that prevent recording, then those that may lose
    words, then those that slow recognition down. The last group begins with conditions that no retry clears, followed
    by those that a new process clears, and those that time clears. Add a new code here, at its rank, and to the
    description of `Problems` in dbus/org.coldvox.Daemon1.xml.
    """

    FALLBACK_ENGINE = "fallback-engine"
    """The model cannot be loaded, which the next code explains; the fallback engine of the settings recognizes instead."""
    MODEL_MISSING = "model-missing"
    """The model's files are missing; a download may be in progress."""
    MODEL_INVALID = "model-invalid"
    """The model's files exist but cannot be loaded."""
    RESOURCES_EXHAUSTED = "resources-exhausted"
    """Too little memory, or too few threads, to load the model."""
    MICROPHONE_LOST = "microphone-lost"
    """No audio arrives although it should; the microphone is reopened repeatedly."""
    MICROPHONE_MUTED = "microphone-muted"
    """The microphone in use is muted, or its volume is zero."""
    CPU_WRONG_OUTPUT = "cpu-wrong-output"
    """The CPU recognizes other words in the golden clip than these weights should; they are probably damaged."""
    NO_WORDS = "no-words"
    """The last session with speech returned no words."""
    MICROPHONE_QUIET = "microphone-quiet"
    """Speech has been quiet for long, so words are likely lost: the microphone's volume is low, or it is far away."""
    MICROPHONE_CHANNEL = "microphone-channel"
    """The microphone lacks the channel named in the settings, and is used as with `auto`."""
    LANGUAGE = "language"
    """The loaded model does not recognize the language named in the settings, and is used as with `auto`."""
    DRIVER_MISMATCH = "driver-mismatch"
    """The accelerator's driver does not fit its libraries, often after an upgrade; the CPU recognizes."""
    NO_GPU = "no-gpu"
    """The requested accelerator cannot be used on this machine; the CPU recognizes."""
    GPU_LOST = "gpu-lost"
    """The accelerator stopped responding; only a new process can use it again."""
    GPU_FAULT = "gpu-fault"
    """A run on the accelerator failed."""
    GPU_MEMORY_ERRORS = "gpu-memory-errors"
    """The accelerator's memory had an error that cannot be corrected."""
    GPU_WRONG_OUTPUT = "gpu-wrong-output"
    """The accelerator returns wrong results: it fails the golden clip, or returns values that are not numbers."""
    GPU_OUT_OF_MEMORY = "gpu-out-of-memory"
    """The accelerator has too little free memory."""
    GPU_TIMEOUT = "gpu-timeout"
    """A run or a load on the accelerator exceeded its time limit."""
    GPU_OVERHEATING = "gpu-overheating"
    """The accelerator reached its temperature limit, or throttles."""
    SLEEP = "sleep"
    """The system was suspended, and the accelerator is not in use again yet."""


WRONG_ON_CPU = (
    "The CPU recognizes wrong words in the golden clip, so the model's files are probably damaged. "
    "`coldvoxctl model verify` checks them and says how to replace them."
)
"""What CPU_WRONG_OUTPUT means, and its remedy."""

_RANKS = {problem: rank for rank, problem in enumerate(Problem)}


def by_severity(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return each code once, most severe first."""
    return tuple(sorted(set(problems), key=_RANKS.__getitem__))
