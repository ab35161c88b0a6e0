"""Finds the recognizers that the settings select and this machine provides, and opens them."""

import logging
from collections.abc import Callable, Iterator, Sequence
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
from coldvoxd.core.values import EngineStatus, ModelFiles, Precision
from coldvoxd.engines.parakeet import padding
from coldvoxd.engines.parakeet.cuda_options import room_wanted
from coldvoxd.engines.parakeet.opening import ResolvedModel, Wrap
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.staged import StagedRecognizer
from coldvoxd.golden.clip import believed, clip, is_right
from coldvoxd.golden.verdict_cache import verdict_path
from coldvoxd.models import find_model
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.cpu_precision import SAME
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.models.directories import shortened
from coldvoxd.models.provider_trials import trial_path
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.native.opening import closed_on_error, identify
from coldvoxd.native.ort import bound_to
from coldvoxd.native.providers import AUTO, CPU, CUDA, available_providers, likely_accelerators
from coldvoxd.native.session import OrtSession
from coldvoxd.recognition.auto_trial import AutoTrial
from coldvoxd.recognition.backends import AutoChoice, Backends, CpuReference, Golden
from coldvoxd.recognition.cpu_standby import Readiness
from coldvoxd.recognition.fallback_backend import with_fallback
from coldvoxd.recognition.model_resolver import resolve_files, resolve_on_accelerator, resolve_on_cpu
from coldvoxd.recognition.worker import LOAD_LIMIT_S, near_silence
from coldvoxd.virtual.accelerator import VirtualAccelerator

log = logging.getLogger(__name__)

VIRTUAL = "virtual:"


def as_it_is(session: OrtSession) -> OrtSession:
    return session


class AcceleratorModel:
    """The model for an accelerator. It is resolved at each opening, and the last result is kept. Any thread."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self.device = ""
        """Name of the device on which the model was opened last; empty if nothing names it."""
        self._model: ResolvedModel | None = None

    def resolve(self) -> ResolvedModel:
        """Resolve the model for an opening that starts now. Raises ModelMissing or ModelInvalid."""
        self._model = resolve_on_accelerator(self.settings)
        return self._model

    def noted(self, session: OrtSession) -> OrtSession:
        """Take the device's name from a session, the encoder's first."""
        self.device = self.device or session.device
        return session

    def expected_texts(self) -> tuple[str, ...]:
        """Return the accepted texts of the golden clip for the weights that were opened last."""
        return self._model.truths if self._model is not None else ()


def find_backends(
    settings: ModelSettings,
    likely: Callable[[], Sequence[str]] = likely_accelerators,
    free_bytes: Callable[[], int | None] = lambda: None,
) -> Backends:
    """Return the CPU backend, and the accelerator that the settings name or this machine has, if any.

    `likely` returns those that `auto` tries, in this order.

    `free_bytes` is passed to `open_on_accelerator`, which runs on the accelerator's call thread.
    """
    longest_s = max_utterance_s(settings.name, Precision.on_cpu(settings.precision))
    return with_fallback(replace(_backends(settings, likely, free_bytes), longest_s=longest_s), settings)


def _backends(
    settings: ModelSettings, likely: Callable[[], Sequence[str]], free_bytes: Callable[[], int | None]
) -> Backends:
    precision = Precision.on_cpu(settings.precision)
    names = tuple(likely()) if settings.provider == AUTO else (settings.provider,)
    name = names[0] if names else CPU
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
    cpu = StagedCpu(lambda: open_staged(settings, standby_precision))
    on_cpu = Backends(
        cpu.open,
        readiness=readiness,
        cpu_mapped=mapped,
        lengths_s=padding.SECONDS,
        model=shortened(settings.name),
        seam_method=seam_method,
        cpu_reference=_reference(settings),
    )
    chosen: Backends | None = None
    for each in reversed(names):
        one = _with_accelerator(on_cpu, settings, each, free_bytes, cpu.settled if settings.provider == AUTO else None)
        chosen = one if one.auto is None else replace(one, auto=replace(one.auto, following=chosen))
    return chosen or on_cpu


def _with_accelerator(
    on_cpu: Backends,
    settings: ModelSettings,
    name: str,
    free_bytes: Callable[[], int | None],
    cpu_settled: Callable[[], None] | None,
) -> Backends:
    """Return the backends with an accelerator. With `cpu_settled`, a trial decides whether it is faster than the CPU."""
    model = AcceleratorModel(settings)

    def open_accelerator() -> Recognizer:
        return open_on_accelerator(model, name, free_bytes)

    trial = None
    opened: Callable[[], Recognizer] = open_accelerator
    if cpu_settled is not None:
        trial = AutoTrial(
            name, settings.accelerator_min_speedup, lambda: trial_place(model.resolve().files, name), cpu_settled
        )
        opened = partial(trial.opened, open_accelerator)
    return replace(
        on_cpu,
        accelerator=opened,
        accelerator_name=name,
        golden=Golden(clip(), model.expected_texts),
        device=lambda: model.device,
        auto=None if trial is None else AutoChoice(trial),
    )


def trial_place(files: ModelFiles, provider: str) -> tuple[str, Path | None]:
    """Return the device of a provider, and the file for a trial of it with this model. Loads drivers, which may block.

    The trial depends on the weights, their precision, the provider with its version, the device with its driver, ONNX
    Runtime and the CPU. Raises ProviderUnavailable.
    """
    device, identity = identify(provider)
    return device, trial_path(verdict_path(files).stem, files.precision, short_name(provider), identity, bound_to())


class StagedCpu:
    """Opens the CPU's recognizer, and knows when its second stage serves."""

    def __init__(self, open_recognizer: Callable[[], Recognizer]) -> None:
        self._open = open_recognizer
        self._last: Recognizer | None = None

    def open(self) -> Recognizer:
        self._last = self._open()
        return self._last

    def settled(self) -> None:
        """Return once the recognizer that was opened last serves at its full speed. Blocks."""
        if isinstance(self._last, StagedRecognizer):
            self._last.second_stage.wait(LOAD_LIMIT_S)


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
    model.device = ""
    with closed_on_error():
        return ParakeetRecognizer.open(
            files,
            provider,
            model.settings.threads,
            language_means=means,
            options=decoding_options_of(model.settings),
            wrap=model.noted,
        )


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
