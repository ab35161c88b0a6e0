"""The recognizers that the settings ask for and this machine has: which there are, and how each is opened."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.golden import clip
from coldvoxd.ladder import Golden, Ladder
from coldvoxd.models import find_model
from coldvoxd.models.golden import truths
from coldvoxd.ort import AUTO, CPU, Session, available_providers, likely_accelerator
from coldvoxd.standby import Readiness
from coldvoxd.virtual.accelerator import VirtualAccelerator

VIRTUAL = "virtual:"


def ladder(settings: ModelSettings) -> Ladder:
    """What recognizes here: the accelerator that the settings name or this machine has, and the CPU."""

    def on_cpu() -> Recognizer:
        return open_recognizer(settings, CPU)

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
    """Find and load the model. Blocks for seconds; raises ModelMissing, ModelInvalid or ProviderUnavailable."""
    files = find_model(settings.name, Precision(settings.precision))
    return ParakeetRecognizer.open(files, provider, settings.threads, packed=packed, wrap=wrap)


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
