"""The precision in which the CPU recognizes, or stands by, with given settings."""

from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import Precision
from coldvoxd.native.providers import AUTO, CPU, likely_accelerator

SAME = "same"
"""Of `standby_precision`: that of the accelerator's model."""


def cpu_precision(settings: ModelSettings) -> Precision:
    """In which precision the CPU serves here or stands by, as far as the model has it."""
    alone = (settings.provider == AUTO and likely_accelerator() is None) or settings.provider == CPU
    own = alone or settings.standby_precision == SAME
    return Precision.on_cpu(settings.precision if own else settings.standby_precision)
