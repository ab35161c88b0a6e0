"""The recognizers that the settings select and this machine provides: on the CPU and on an accelerator."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from coldvoxd.core.fallback import FallbackEngine
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.seams import SeamMethod
from coldvoxd.recognition.auto_trial import AutoTrial
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.run_times import STANDARD, RunLimits


@dataclass(frozen=True, slots=True)
class Golden:
    """A recording of speech on which an accelerator is verified."""

    clip: npt.NDArray[np.float32]
    """float32 (n,), 16 kHz."""
    expected_texts: Callable[[], Sequence[str]] = tuple
    """Returns the texts of the clip on record that these weights may produce. If there are none, the text of the CPU is
    used. Reads files."""


@dataclass(frozen=True, slots=True)
class CpuReference:
    """A recording of speech on which the CPU is verified after each load."""

    clip: npt.NDArray[np.float32]
    """float32 (n,), 16 kHz."""
    is_right: Callable[[str, str], bool]
    """Returns whether a text is right for the weights of a precision; called with the precision and the text. Reads
    files, and raises ModelMissing or ModelInvalid."""


@dataclass(frozen=True, slots=True)
class FallbackBackend:
    """The engine that recognizes while the model of the settings cannot be loaded. Both functions block."""

    name: str
    """Value of the setting `fallback`, such as `whisper`."""
    model: str
    """Name of its model, as the property Model gives it."""
    find: Callable[[], FallbackEngine]
    """Imports the engine. Raises LibraryUnusable."""
    open: Callable[[FallbackEngine], Recognizer]
    """Raises what `FallbackEngine.open` raises."""


@dataclass(frozen=True, slots=True)
class Backends:
    """Functions that open the recognizers, and their parameters.

    The functions block until the recognizer is open, and raise ModelMissing, ModelInvalid or ProviderUnavailable.
    """

    cpu: Callable[[], Recognizer]
    accelerator: Callable[[], Recognizer] | None = None
    accelerator_name: str = ""
    """The accelerator's name in the settings."""
    golden: Golden | None = None
    """If None, the accelerator is used without verification."""
    readiness: Readiness = Readiness.WARM
    """State of the CPU recognizer while the accelerator serves."""
    cpu_mapped: Callable[[], Recognizer] | None = None
    """Opens faster and in less memory than `cpu`, but recognizes more slowly. Used for `Readiness.MAPPED`."""
    lengths_s: Sequence[float] = ()
    """Audio lengths in seconds that the accelerator is warmed up for, one by one, because it tunes itself for each."""
    model: str = ""
    """Name of the model that they open, as the property Model gives it."""
    limits: RunLimits = STANDARD
    seam_method: SeamMethod = SeamMethod.OFF
    """The method that suits the model, for the setting `auto`."""
    cpu_reference: CpuReference | None = None
    """If None, the CPU is used without verification."""
    longest_s: float = math.inf
    """Maximum length in seconds of an utterance that the model recognizes without losing words."""
    fallback: FallbackBackend | None = None
    """Opened if `cpu` cannot be."""
    device: Callable[[], str] = str
    """Returns the name of the accelerator's device, empty if it is unknown."""
    auto: "AutoChoice | None" = None
    """None if the settings name the accelerator."""


@dataclass(frozen=True, slots=True)
class AutoChoice:
    """How `auto` decides on an accelerator."""

    trial: AutoTrial
    """Decides between the accelerator and the CPU."""
    following: Backends | None = None
    """Used instead if the accelerator cannot be used or is not faster than the CPU."""
