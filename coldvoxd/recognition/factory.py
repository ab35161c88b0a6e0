"""Finds the recognizers that the settings select and this machine provides, and opens them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ProviderUnavailable, ResourcesExhausted
from coldvoxd.core.languages import LanguageMeans
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.shortage import shortage
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.engines.parakeet import padding
from coldvoxd.engines.parakeet.cuda_options import room_wanted
from coldvoxd.engines.parakeet.opening import ResolvedModel, Wrap
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.staged import StagedRecognizer
from coldvoxd.golden.clip import believed, clip, is_right
from coldvoxd.models import find_model
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.cpu_precision import SAME
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.models.directories import shortened
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.native.providers import AUTO, CPU, CUDA, available_providers, likely_accelerator
from coldvoxd.native.session import OrtSession
from coldvoxd.recognition.backends import Backends, CpuReference, Golden
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.model_resolver import resolve_files, resolve_on_accelerator, resolve_on_cpu
from coldvoxd.recognition.worker import near_silence
from coldvoxd.virtual.accelerator import VirtualAccelerator

log = logging.getLogger(__name__)

VIRTUAL = "virtual:"


def as_it_is(session: OrtSession) -> OrtSession:
    return session


class AcceleratorModel:
    """The model for an accelerator. It is resolved at each opening, and the last result is kept. Any thread."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self._model: ResolvedModel | None = None

    def resolve(self) -> ResolvedModel:
        """Resolve the model for an opening that starts now. Raises ModelMissing or ModelInvalid."""
        self._model = resolve_on_accelerator(self.settings)
        return self._model

    def expected_texts(self) -> tuple[str, ...]:
        """Return the accepted texts of the golden clip for the weights that were opened last."""
        return self._model.truths if self._model is not None else ()


def find_backends(
    settings: ModelSettings,
    likely: Callable[[], str | None] = likely_accelerator,
    free_bytes: Callable[[], int | None] = lambda: None,
) -> Backends:
    """Return the CPU backend, and the accelerator that the settings name or this machine has, if any.

    `free_bytes` is passed to `open_on_accelerator`, which runs on the accelerator's call thread.
    """
    longest_s = max_utterance_s(settings.name, Precision.on_cpu(settings.precision))
    return replace(_backends(settings, likely, free_bytes), longest_s=longest_s)


def _backends(
    settings: ModelSettings, likely: Callable[[], str | None], free_bytes: Callable[[], int | None]
) -> Backends:
    precision = Precision.on_cpu(settings.precision)
    name = settings.provider
    if name == AUTO:
        name = likely() or CPU
    seam_method = seam_method_of(settings.name)
    if name == CPU:
        return Backends(
            lambda: open_staged(settings, precision),
            model=shortened(settings.name),
            seam_method=seam_method,
            cpu_reference=_reference(settings),
        )
    standby_precision = precision if settings.standby_precision == SAME else Precision(settings.standby_precision)
    readiness = Readiness(settings.standby)

    def mapped() -> Recognizer:
        return open_on_cpu(settings, standby_precision, packed=False)

    if name.startswith(VIRTUAL):
        stand_in, model = _virtual(settings)
        golden = Golden(clip(), model.expected_texts)
        opened = Backends(stand_in.open_on_cpu, stand_in.open, "virtual", golden, readiness, mapped)
        return replace(opened, model=shortened(settings.name), seam_method=seam_method)
    model = AcceleratorModel(settings)
    return Backends(
        lambda: open_staged(settings, standby_precision),
        lambda: open_on_accelerator(model, name, free_bytes),
        name,
        Golden(clip(), model.expected_texts),
        readiness,
        mapped,
        padding.SECONDS,
        shortened(settings.name),
        seam_method=seam_method,
        cpu_reference=_reference(settings),
    )


def _reference(settings: ModelSettings) -> CpuReference:
    def is_right_in(precision: str, text: str) -> bool:
        return is_right(find_model(settings.name, Precision(precision)), text)

    return CpuReference(clip(), is_right_in)


def virtual_accelerator(settings: ModelSettings) -> VirtualAccelerator:
    """Return the virtual accelerator that the settings name: always the same, since its socket is bound only once."""
    return _virtual(settings)[0]


@cache
def _virtual(settings: ModelSettings) -> tuple[VirtualAccelerator, AcceleratorModel]:
    wanted = settings.precision if settings.standby_precision == SAME else settings.standby_precision
    standby_precision = Precision.on_cpu(wanted)
    model = AcceleratorModel(settings)
    stand_in = VirtualAccelerator(
        Path(settings.provider.removeprefix(VIRTUAL)),
        lambda wrap: ParakeetRecognizer.open(
            model.resolve().files,
            CPU,
            settings.threads,
            language_means=LanguageMeans(settings.language_means),
            options=decoding_options_of(settings),
            wrap=wrap,
        ),
        lambda wrap: open_on_cpu(settings, standby_precision, wrap=wrap),
    )
    return stand_in, model


def open_on_accelerator(
    model: AcceleratorModel, provider: str, free_bytes: Callable[[], int | None] = lambda: None
) -> Recognizer:
    """Find and load the model. `free_bytes` returns the accelerator's free memory in bytes, None if unknown.

    Blocks for seconds. Raises ModelMissing, ModelInvalid or ProviderUnavailable.
    """
    files = model.resolve().files
    if short_name(provider) == CUDA and (reason := room_wanted(files.precision, free_bytes())):
        raise ProviderUnavailable(reason)
    means = LanguageMeans(model.settings.language_means)
    options = decoding_options_of(model.settings)
    return ParakeetRecognizer.open(files, provider, model.settings.threads, language_means=means, options=options)


@contextmanager
def _errors_translated() -> Iterator[None]:
    """Raise ResourcesExhausted for a lack of memory or threads, and ModelInvalid for an unreadable model."""
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


@_errors_translated()
def open_on_cpu(
    settings: ModelSettings, precision: Precision, *, packed: bool = True, wrap: Wrap = as_it_is
) -> Recognizer:
    """Open the model on the CPU in this precision, otherwise in that of the settings or in fp32.

    A precision that fails on the golden clip is replaced by fp32 if the model has it, because the CPU has no other
    fallback. Blocks for seconds. Raises ModelMissing, ModelInvalid or ResourcesExhausted.
    """
    return _open_judged(resolve_on_cpu(settings, precision), settings, packed=packed, wrap=wrap)


@_errors_translated()
def open_staged(settings: ModelSettings, precision: Precision) -> Recognizer:
    """Open the model like `open_on_cpu`. If it is prepared, it serves within moments, but more slowly at first.

    A precision other than fp32 is staged only if an accepted text of the golden clip is on record for it.
    """
    model = resolve_on_cpu(settings, precision)
    if not model.is_trusted or model.form is None:
        return _open_judged(model, settings)

    @_errors_translated()
    def open_packed() -> Recognizer:
        recognizer = _open_judged(model, settings)
        recognizer.recognize(near_silence())
        return recognizer

    return StagedRecognizer(_open(model, settings, packed=False), open_packed)


def _open_judged(
    model: ResolvedModel, settings: ModelSettings, *, packed: bool = True, wrap: Wrap = as_it_is
) -> Recognizer:
    """Open the model on the CPU, in fp32 if its own precision recognizes too little of the golden clip."""
    name, precision = settings.name, model.files.precision
    recognizer = _open(model, settings, packed=packed, wrap=wrap)
    if precision is Precision.FP32 or believed(recognizer, model.truths):
        return recognizer
    try:
        in_fp32 = resolve_files(find_model(name, Precision.FP32))
    except ModelInvalid:
        log.warning("%s recognizes too little of the golden clip in %s", name, precision)
        return recognizer
    log.warning("%s recognizes too little of the golden clip in %s; using fp32 instead", name, precision)
    recognizer.close()
    return _open(in_fp32, settings, packed=packed, wrap=wrap)


def _open(model: ResolvedModel, settings: ModelSettings, *, packed: bool, wrap: Wrap = as_it_is) -> ParakeetRecognizer:
    """Open the model on the CPU, from its prepared form if there is one that can be opened."""
    files, form = model.files, model.form
    opened = partial(
        ParakeetRecognizer.open,
        files,
        CPU,
        settings.threads,
        packed=packed,
        language_means=LanguageMeans(settings.language_means),
        options=decoding_options_of(settings),
        wrap=wrap,
    )
    if form is not None:
        try:
            recognizer = opened(prepared=form)
        except ModelInvalid as fault:
            log.warning("the prepared form of %s cannot be used, using the model's own files: %s", files.name, fault)
        else:
            log.debug("%s is mapped from %s", files.name, form.directory)
            return recognizer
    return opened()


def engine_at_start() -> EngineStatus:
    """Return the engine's status before anything is loaded."""
    return EngineStatus(available_providers=available_providers(), loading=True)
