"""The ladder: what can recognize here, best first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldvoxd.core.ports import Recognizer
from coldvoxd.standby import Readiness


@dataclass(frozen=True, slots=True)
class Ladder:
    """The functions block and open a recognizer; they raise ModelMissing, ModelInvalid or ProviderUnavailable."""

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """As the settings call it."""
    golden: npt.NDArray[np.float32] | None = None
    """Speech by which an accelerator is judged: it must say of it what the CPU says. float32 (n,), 16 kHz."""
    golden_text: str | None = None
    """What the CPU said of it in fp32 with these weights, if that was recorded; otherwise it is asked."""
    readiness: Readiness = Readiness.WARM
    """How the CPU stands by while the accelerator serves."""
    cpu_mapped: Callable[[], Recognizer] | None = None
    """Opens faster and in less memory, and is slower; for `mapped`."""
