"""The recognizers that the settings ask for and this machine has: which there are, and how each is opened."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ModelMissing, ProviderUnavailable, ResourcesExhausted
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.shortage import shortage
from coldvoxd.core.values import AUTO_PRECISION, EngineStatus, ModelFiles, Precision
from coldvoxd.engines.parakeet import padding
from coldvoxd.engines.parakeet.cuda_options import room_wanted
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.staged import StagedRecognizer
from coldvoxd.golden.clip import believed, clip
from coldvoxd.golden.verdict_cache import recorded, truths
from coldvoxd.models import find_model
from coldvoxd.models.cpu_precision import SAME
from coldvoxd.models.directories import shortened
from coldvoxd.models.precision_store import find_converted
from coldvoxd.models.prepared_store import find_form
from coldvoxd.native.ort import AUTO, CPU, CUDA, Session, available_providers, likely_accelerator, short_name
from coldvoxd.recognition.backends import Backends, Golden
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.worker import hush
from coldvoxd.virtual.accelerator import VirtualAccelerator

log = logging.getLogger(__name__)

VIRTUAL = "virtual:"

Wrap = Callable[[Session], Session]


def as_it_is(session: Session) -> Session:
    return session


def ladder(
    settings: ModelSettings,
    likely: Callable[[], str | None] = likely_accelerator,
    free_bytes: Callable[[], int | None] = lambda: None,
) -> Backends:
    """What recognizes here: the accelerator that the settings name or this machine has, and the CPU.

    `free_bytes` is `open_on_accelerator`'s, called on the accelerator's lane.
    """
    precision = Precision.on_cpu(settings.precision)
    name = settings.provider
    if name == AUTO:
        name = likely() or CPU
    if name == CPU:
        return Backends(lambda: open_staged(settings, precision))
    standing_by = precision if settings.standby_precision == SAME else Precision(settings.standby_precision)
    readiness = Readiness(settings.standby)
    golden = Golden(clip(), lambda: _truths(settings))

    def mapped() -> Recognizer:
        return open_on_cpu(settings, standing_by, packed=False)

    if name.startswith(VIRTUAL):
        stand_in = virtual_accelerator(settings)
        return Backends(stand_in.open_on_cpu, stand_in.open, "virtual", golden, readiness, mapped)
    return Backends(
        lambda: open_staged(settings, standing_by),
        lambda: open_on_accelerator(settings, name, free_bytes),
        name,
        golden,
        readiness,
        mapped,
        padding.SECONDS,
    )


@cache
def virtual_accelerator(settings: ModelSettings) -> VirtualAccelerator:
    """The stand-in that the settings name; the same one each time, since its socket can be bound once."""
    wanted = settings.precision if settings.standby_precision == SAME else settings.standby_precision
    standing_by = Precision.on_cpu(wanted)
    return VirtualAccelerator(
        Path(settings.provider.removeprefix(VIRTUAL)),
        lambda wrap: ParakeetRecognizer.open(files_on_accelerator(settings), CPU, settings.threads, wrap=wrap),
        lambda wrap: open_on_cpu(settings, standing_by, wrap=wrap),
    )


def open_on_accelerator(
    settings: ModelSettings, provider: str, free_bytes: Callable[[], int | None] = lambda: None
) -> Recognizer:
    """Find and load the model. `free_bytes` says how much of the accelerator is free, None where nobody can tell.

    Blocks for seconds; raises ModelMissing, ModelInvalid or ProviderUnavailable.
    """
    files = files_on_accelerator(settings)
    if short_name(provider) == CUDA and (reason := room_wanted(files.precision, free_bytes())):
        raise ProviderUnavailable(reason)
    return ParakeetRecognizer.open(files, provider, settings.threads)


def files_on_accelerator(settings: ModelSettings) -> ModelFiles:
    """In the precision of the settings; where they leave it open in fp16, if that is there, otherwise in fp32."""
    if settings.precision != AUTO_PRECISION:
        return find_model(settings.name, Precision(settings.precision))
    return find_converted(settings.name, Precision.FP16) or find_model(settings.name, Precision.FP32)


@contextmanager
def _faults_explained() -> Iterator[None]:
    """What the machine lacks and what cannot be read on the way, as ResourcesExhausted and ModelInvalid."""
    try:
        yield
    except ColdvoxError:
        raise
    except (MemoryError, OSError, RuntimeError) as error:
        if lack := shortage(error):
            raise ResourcesExhausted(lack) from error
        if isinstance(error, OSError):
            raise ModelInvalid(f"The model cannot be read: {error}") from error
        raise


@_faults_explained()
def open_on_cpu(
    settings: ModelSettings, precision: Precision, *, packed: bool = True, wrap: Wrap = as_it_is
) -> Recognizer:
    """The model on the CPU in this precision, or else in the settings' or fp32.

    There is no next rung, so a precision that the golden clip speaks against is left only where there is another. Blocks
    for seconds; raises ModelMissing, ModelInvalid or ResourcesExhausted.
    """
    files = _files(settings.name, (precision, Precision.on_cpu(settings.precision)))
    recognizer = _opened(files, settings, packed=packed, wrap=wrap)
    if files.precision is Precision.FP32 or believed(recognizer, truths(files)):
        return recognizer
    try:
        in_fp32 = find_model(settings.name, Precision.FP32)
    except ModelInvalid:
        log.warning("%s recognizes too little of the golden clip in %s", settings.name, files.precision)
        return recognizer
    log.warning("%s recognizes too little of the golden clip in %s; using fp32 instead", settings.name, files.precision)
    recognizer.close()
    return _opened(in_fp32, settings, packed=packed, wrap=wrap)


@_faults_explained()
def open_staged(settings: ModelSettings, precision: Precision) -> Recognizer:
    """As `open_on_cpu`; where the model is prepared it serves within moments, slower at first.

    In a precision other than fp32 only where the golden clip is known to speak for it.
    """
    files = _files(settings.name, (precision, Precision.on_cpu(settings.precision)))
    judged = files.precision is Precision.FP32 or recorded(files) in truths(files)
    if not judged or find_form(files) is None:
        return open_on_cpu(settings, precision)

    def open_packed() -> Recognizer:
        recognizer = open_on_cpu(settings, precision)
        recognizer.recognize(hush())
        return recognizer

    return StagedRecognizer(_opened(files, settings, packed=False), open_packed)


def _opened(files: ModelFiles, settings: ModelSettings, *, packed: bool, wrap: Wrap = as_it_is) -> ParakeetRecognizer:
    """On the CPU, from the model's prepared form where there is one that can be opened."""
    form = find_form(files)
    if form is not None:
        try:
            recognizer = ParakeetRecognizer.open(files, CPU, settings.threads, packed=packed, prepared=form, wrap=wrap)
            log.debug("%s is mapped from %s", files.name, form.directory)
            return recognizer  # noqa: TRY300 - what else could go wrong is told alike
        except ModelInvalid as fault:
            log.warning("the prepared form of %s cannot be used, using the model's own files: %s", files.name, fault)
    return ParakeetRecognizer.open(files, CPU, settings.threads, packed=packed, wrap=wrap)


def engine_at_start(settings: ModelSettings) -> EngineStatus:
    """What is known of the engine before anything is loaded."""
    return EngineStatus(
        model=shortened(settings.name),
        precision=Precision.on_cpu(settings.precision),
        available_providers=available_providers(),
        loading=True,
    )


def _truths(settings: ModelSettings) -> tuple[str, ...]:
    try:
        return truths(files_on_accelerator(settings))
    except (ModelMissing, ModelInvalid):  # gone since it was loaded
        return ()


def _files(name: str, precisions: tuple[Precision, ...]) -> ModelFiles:
    """The model's in the first precision that it has."""
    *wishes, last = precisions
    for wish in wishes:
        with suppress(ModelInvalid):
            return find_model(name, wish)
    return find_model(name, last)
