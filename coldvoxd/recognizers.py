"""The recognizers that the settings ask for and this machine has: which there are, and how each is opened."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, ModelFiles, Precision
from coldvoxd.golden import believed, clip
from coldvoxd.ladder import Golden, Ladder
from coldvoxd.models import find_model
from coldvoxd.models.golden import truths
from coldvoxd.ort import AUTO, CPU, Session, available_providers, likely_accelerator
from coldvoxd.standby import Readiness
from coldvoxd.virtual.accelerator import VirtualAccelerator

log = logging.getLogger(__name__)

VIRTUAL = "virtual:"
SAME = "same"

Wrap = Callable[[Session], Session]


def as_it_is(session: Session) -> Session:
    return session


def ladder(settings: ModelSettings) -> Ladder:
    """What recognizes here: the accelerator that the settings name or this machine has, and the CPU."""
    precision = Precision(settings.precision)
    name = settings.provider
    if name == AUTO:
        name = likely_accelerator() or CPU
    if name == CPU:
        return Ladder(lambda: open_on_cpu(settings, precision))
    standing_by = precision if settings.standby_precision == SAME else Precision(settings.standby_precision)
    readiness = Readiness(settings.standby)
    golden = Golden(clip(), lambda: _truths(settings))

    def mapped() -> Recognizer:
        return open_on_cpu(settings, standing_by, packed=False)

    if name.startswith(VIRTUAL):
        stand_in = virtual_accelerator(settings)
        return Ladder(stand_in.open_on_cpu, stand_in.open, "virtual", golden, readiness, mapped)
    return Ladder(
        lambda: open_on_cpu(settings, standing_by),
        lambda: open_recognizer(settings, name),
        name,
        golden,
        readiness,
        mapped,
    )


@cache
def virtual_accelerator(settings: ModelSettings) -> VirtualAccelerator:
    """The stand-in that the settings name; the same one each time, since its socket can be bound once."""
    standing_by = Precision(settings.precision if settings.standby_precision == SAME else settings.standby_precision)
    return VirtualAccelerator(
        Path(settings.provider.removeprefix(VIRTUAL)),
        lambda wrap: open_recognizer(settings, CPU, wrap=wrap),
        lambda wrap: open_on_cpu(settings, standing_by, wrap=wrap),
    )


def open_recognizer(settings: ModelSettings, provider: str, *, wrap: Wrap = as_it_is) -> Recognizer:
    """Find and load the model. Blocks for seconds; raises ModelMissing, ModelInvalid or ProviderUnavailable."""
    files = find_model(settings.name, Precision(settings.precision))
    return ParakeetRecognizer.open(files, provider, settings.threads, wrap=wrap)


def open_on_cpu(
    settings: ModelSettings, precision: Precision, *, packed: bool = True, wrap: Wrap = as_it_is
) -> Recognizer:
    """The model on the CPU in this precision, or else in the settings' or fp32.

    There is no next rung, so a precision that the golden clip speaks against is left only where there is another. Blocks
    for seconds; raises ModelMissing or ModelInvalid.
    """
    files = _files(settings.name, (precision, Precision(settings.precision)))
    recognizer = ParakeetRecognizer.open(files, CPU, settings.threads, packed=packed, wrap=wrap)
    if files.precision is Precision.FP32 or believed(recognizer, truths(files)):
        return recognizer
    try:
        in_fp32 = find_model(settings.name, Precision.FP32)
    except ModelInvalid:
        log.warning("%s hears too little of the golden clip in %s", settings.name, files.precision)
        return recognizer
    log.warning("%s hears too little of the golden clip in %s; fp32 takes its place", settings.name, files.precision)
    recognizer.close()
    return ParakeetRecognizer.open(in_fp32, CPU, settings.threads, packed=packed, wrap=wrap)


def engine_at_start(settings: ModelSettings) -> EngineStatus:
    """What is known of the engine before anything is loaded."""
    return EngineStatus(
        model=settings.name, precision=settings.precision, available_providers=available_providers(), loading=True
    )


def _truths(settings: ModelSettings) -> tuple[str, ...]:
    try:
        return truths(find_model(settings.name, Precision(settings.precision)))
    except (ModelMissing, ModelInvalid):  # gone since it was loaded
        return ()


def _files(name: str, precisions: tuple[Precision, ...]) -> ModelFiles:
    """The model's in the first precision that it has."""
    *wishes, last = precisions
    for wish in wishes:
        with suppress(ModelInvalid):
            return find_model(name, wish)
    return find_model(name, last)
