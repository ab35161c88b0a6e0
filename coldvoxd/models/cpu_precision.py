"""The precision in which the CPU recognizes or is on standby, by the settings."""

from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import Precision
from coldvoxd.native.providers import AUTO, CPU, likely_accelerator

SAME = "same"
"""Value of `standby_precision` for the precision of the accelerator's model."""


def cpu_precision(settings: ModelSettings) -> Precision:
    """The precision of the CPU, serving or on standby, if the model has it."""
    alone = (settings.provider == AUTO and likely_accelerator() is None) or settings.provider == CPU
    own = alone or settings.standby_precision == SAME
    return Precision.on_cpu(settings.precision if own else settings.standby_precision)
