"""Opens the recognizer that a command uses in its own process, without the daemon's fallback and supervision."""

import time
from collections.abc import Callable
from functools import partial

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.languages import LanguageMeans
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.models.provider_trials import stored_trials
from coldvoxd.native.providers import AUTO, CPU, CUDA, likely_accelerators


def open_in_process(settings: ModelSettings, replaced: Callable[[ProviderUnavailable], None]) -> ParakeetRecognizer:
    """Open the model that the settings name. Blocks for seconds. Raises ColdvoxError.

    A provider that is named is used or refused. With `auto` the CPU takes the place of an accelerator that cannot be
    used, after `replaced` was called.
    """
    opened = partial(
        ParakeetRecognizer.open,
        find_model(settings.name, Precision.on_cpu(settings.precision)),
        threads=settings.threads,
        language_means=LanguageMeans(settings.language_means),
        options=decoding_options_of(settings),
    )
    if settings.provider != AUTO:
        return opened(settings.provider)
    try:
        return opened(_automatic(settings.accelerator_min_speedup))
    except ProviderUnavailable as fault:
        replaced(fault)
        return opened(CPU)


def _automatic(min_speedup: float) -> str:
    """The provider that `auto` means here: the daemon's choice, if it has tried; otherwise CUDA, or the CPU."""
    stored = {trial.provider: trial for trial in reversed(list(stored_trials(time.time())))}
    for name in likely_accelerators():
        trial = stored.get(name)
        if name == CUDA if trial is None else trial.is_fast_enough(min_speedup):
            return name
    return CPU
