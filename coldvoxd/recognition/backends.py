"""The recognizers that the settings ask for and this machine has: the CPU's, and an accelerator's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldvoxd.core.ports import Recognizer
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.run_times import STANDARD, RunLimits


@dataclass(frozen=True, slots=True)
class Golden:
    """A recording of speech by which an accelerator is judged."""

    clip: npt.NDArray[np.float32]
    """float32 (n,), 16 kHz."""
    expected_texts: Callable[[], Sequence[str]] = tuple
    """Texts of the clip that these weights may give, as far as they are on record. Where there are none, the CPU is
    asked. Reads files."""


@dataclass(frozen=True, slots=True)
class Backends:
    """How each recognizer is opened.

    The functions block and open a recognizer; they raise ModelMissing, ModelInvalid or ProviderUnavailable.
    """

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """As the settings name it."""
    golden: Golden | None = None
    """Without it the accelerator is used without being judged."""
    readiness: Readiness = Readiness.WARM
    """The state of the CPU's recognizer while the accelerator serves."""
    cpu_mapped: Callable[[], Recognizer] | None = None
    """Opens faster and in less memory than `cpu`, and is slower; for `mapped`."""
    lengths_s: Sequence[float] = ()
    """Seconds of audio for each of which the accelerator tunes itself: it is warmed up for them, one by one."""
    limits: RunLimits = STANDARD
