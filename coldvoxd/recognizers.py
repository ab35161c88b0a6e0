"""The recognizers that the settings ask for and this machine has: which there are, and how each is opened."""

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.asr.staged import StagedRecognizer
from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.golden import clip
from coldvoxd.ladder import Golden, Ladder
from coldvoxd.models import find_model
from coldvoxd.models.golden import truths
from coldvoxd.models.prepared import find_form
from coldvoxd.ort import AUTO, CPU, Session, available_providers, likely_accelerator
from coldvoxd.rung import hush
from coldvoxd.standby import Readiness
from coldvoxd.virtual.accelerator import VirtualAccelerator

log = logging.getLogger(__name__)

VIRTUAL = "virtual:"


def ladder(settings: ModelSettings) -> Ladder:
    """What recognizes here: the accelerator that the settings name or this machine has, and the CPU."""

    def on_cpu() -> Recognizer:
        return open_staged(settings)

    def mapped() -> Recognizer:
        return open_recognizer(settings, CPU, packed=False)

    name = settings.provider
    if name == AUTO:
        name = likely_accelerator() or CPU
    if name == CPU:
        return Ladder(on_cpu)
    readiness = Readiness(settings.standby)
    golden = Golden(clip(), lambda: _truths(settings))
    if name.startswith(VIRTUAL):
        stand_in = virtual_accelerator(settings)
        return Ladder(stand_in.open_on_cpu, stand_in.open, "virtual", golden, readiness, mapped)
    return Ladder(on_cpu, lambda: open_recognizer(settings, name), name, golden, readiness, mapped)


@cache
def virtual_accelerator(settings: ModelSettings) -> VirtualAccelerator:
    """The stand-in that the settings name; the same one each time, since its socket can be bound once."""
    socket = Path(settings.provider.removeprefix(VIRTUAL))
    return VirtualAccelerator(socket, lambda wrap: open_recognizer(settings, CPU, wrap=wrap))


def open_recognizer(
    settings: ModelSettings,
    provider: str,
    *,
    packed: bool = True,
    wrap: Callable[[Session], Session] = lambda session: session,
) -> Recognizer:
    """Find and load the model. Blocks for seconds; raises ModelMissing, ModelInvalid or ProviderUnavailable.

    On the CPU from its prepared form, where there is one.
    """
    files = find_model(settings.name, Precision(settings.precision))
    form = find_form(files) if provider == CPU else None
    if form is not None:
        try:
            recognizer = ParakeetRecognizer.open(files, CPU, settings.threads, packed=packed, prepared=form, wrap=wrap)
            log.debug("%s is mapped from %s", files.name, form.directory)
            return recognizer  # noqa: TRY300 - what else could go wrong is told alike
        except ModelInvalid as fault:
            log.warning("the prepared form of %s can't be used, its own files are: %s", files.name, fault)
    return ParakeetRecognizer.open(files, provider, settings.threads, packed=packed, wrap=wrap)


def open_staged(settings: ModelSettings) -> Recognizer:
    """On the CPU: where the model is prepared it serves within moments, slower at first. Otherwise as `open_recognizer`."""
    if find_form(find_model(settings.name, Precision(settings.precision))) is None:
        return open_recognizer(settings, CPU)

    def open_packed() -> Recognizer:
        recognizer = open_recognizer(settings, CPU)
        recognizer.recognize(hush())
        return recognizer

    return StagedRecognizer(open_recognizer(settings, CPU, packed=False), open_packed)


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
