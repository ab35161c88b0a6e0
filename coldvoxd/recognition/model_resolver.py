"""Finds what opening a model requires on disk: files, prepared form, and accepted texts of the golden clip.

The module belongs to recognition because golden lies above engines and models, and engines does not import models.
"""

from contextlib import suppress

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import AUTO_PRECISION, ModelFiles, Precision
from coldvoxd.engines.parakeet.opening import ResolvedModel
from coldvoxd.golden.verdict_cache import verdict
from coldvoxd.models import find_model
from coldvoxd.models.precision_store import find_converted
from coldvoxd.models.prepared_store import find_form


def resolve_on_cpu(settings: ModelSettings, precision: Precision) -> ResolvedModel:
    """Resolve the model for the CPU, in this precision, otherwise in that of the settings or in fp32.

    Raises ModelMissing or ModelInvalid.
    """
    return resolve_files(_files_on_cpu(settings, precision))


def resolve_files(files: ModelFiles) -> ResolvedModel:
    """Resolve these files for the CPU. fp32 is trusted, because there is no reference to verify it against."""
    if files.precision is Precision.FP32:
        return ResolvedModel(files, find_form(files), is_trusted=True)
    known = verdict(files)
    return ResolvedModel(files, find_form(files), known.truths, known.is_trusted)


def resolve_on_accelerator(settings: ModelSettings) -> ResolvedModel:
    """Resolve the model for an accelerator in the precision of the settings; for `auto` in fp16 if present, else fp32.

    Raises ModelMissing or ModelInvalid.
    """
    files = _files_on_accelerator(settings)
    known = verdict(files)
    return ResolvedModel(files, None, known.truths, known.is_trusted)


def _files_on_cpu(settings: ModelSettings, precision: Precision) -> ModelFiles:
    with suppress(ModelInvalid):
        return find_model(settings.name, precision)
    return find_model(settings.name, Precision.on_cpu(settings.precision))


def _files_on_accelerator(settings: ModelSettings) -> ModelFiles:
    if settings.precision != AUTO_PRECISION:
        return find_model(settings.name, Precision(settings.precision))
    return find_converted(settings.name, Precision.FP16) or find_model(settings.name, Precision.FP32)
