"""The ladder: what can recognize here, best first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldvoxd.core.ports import Recognizer
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.run_times import STANDARD, RunLimits


@dataclass(frozen=True, slots=True)
class Golden:
    """Speech by which an accelerator is judged."""

    clip: npt.NDArray[np.float32]
    """float32 (n,), 16 kHz."""
    truths: Callable[[], Sequence[str]] = tuple
    """What may be heard in it with these weights, as far as that is on record; otherwise the CPU is asked. Reads files."""


@dataclass(frozen=True, slots=True)
class Backends:
    """The functions block and open a recognizer; they raise ModelMissing, ModelInvalid or ProviderUnavailable."""

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """As the settings call it."""
    golden: Golden | None = None
    """Without it an accelerator is trusted as it is."""
    readiness: Readiness = Readiness.WARM
    """How the CPU stands by while the accelerator serves."""
    cpu_mapped: Callable[[], Recognizer] | None = None
    """Opens faster and in less memory, and is slower; for `mapped`."""
    lengths_s: Sequence[float] = ()
    """Of audio, for each of which the accelerator has to tune itself: it is warmed for them, one by one, once it serves."""
    limits: RunLimits = STANDARD
