"""Checks that the graphs, the vocabulary and the configuration of a model belong together, and what kind of model they are."""

from dataclasses import replace

import numpy as np

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.features import HOP_SAMPLES
from coldvoxd.core.foreign_models import REMEDY, kind_of_tensors
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.engines.parakeet.configuration import FEATURES_SIZE, ParakeetConfiguration
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.encoder import AUDIO, FRAME_COUNT, FRAMES, LENGTH, SCORES
from coldvoxd.engines.parakeet.vocabulary import Vocabulary
from coldvoxd.native.session import OrtSession

DURATIONS = 5
"""The durations of a Parakeet TDT are 0 to 4 encoder frames."""
TRIAL_COLUMNS = 64
AXES = 3
"""Batch, mel bins, columns."""
_FOREIGN = "the files do not belong together, download the model again"


def settled(
    encoder: OrtSession, decoder: Decoder | None, vocabulary: Vocabulary, configuration: ParakeetConfiguration
) -> ParakeetConfiguration:
    """The configuration with the kind and the number of features that the graphs have.

    Raises ModelInvalid where the parts of a model don't fit together, or where the configuration says something else, with
    the remedy.
    """
    features_size = _features_size(encoder, configuration)
    if decoder is None:
        kind = ModelKind.CTC
        _check_scores(encoder, features_size, vocabulary)
    else:
        kind = _kind(decoder, vocabulary)
        _check_frames(encoder, decoder)
    if configuration.kind is not None and configuration.kind is not kind:
        raise ModelInvalid(_contradiction(configuration.kind, kind, encoder, decoder, vocabulary))
    limit = configuration.max_tokens_per_step
    if kind is ModelKind.TDT and configuration.tdt_tokens_per_step:
        limit = configuration.tdt_tokens_per_step
    return replace(configuration, kind=kind, features_size=features_size, max_tokens_per_step=limit)


def check_encoder(encoder: OrtSession, *, is_ctc: bool) -> None:
    """Raise ModelInvalid if the graph is not the encoder of a Parakeet, with what it is."""
    names = {*encoder.inputs, *encoder.outputs}
    if kind := kind_of_tensors(names):
        raise ModelInvalid(f"{encoder.path} is of {kind}", REMEDY)
    # The prepared encoder of a CTC model does not read the length.
    wanted = {AUDIO, SCORES} if is_ctc else {AUDIO, LENGTH, FRAMES, FRAME_COUNT}
    if missing := wanted - names:
        raise ModelInvalid(
            f"{encoder.path} is not the encoder of a Parakeet: it lacks {', '.join(sorted(missing))}", REMEDY
        )
    shape = encoder.inputs[AUDIO].shape
    if len(shape) == AXES and shape[-1] is not None:
        raise ModelInvalid(
            f"{encoder.path} takes exactly {shape[-1]} columns of features, {shape[-1] * HOP_SAMPLES / SAMPLE_RATE:g} s, and no "
            "speech of another length: export the model with a dynamic length"
        )


def _check_scores(encoder: OrtSession, features_size: int, vocabulary: Vocabulary) -> None:
    shape = encoder.outputs[SCORES].shape
    classes = shape[-1] if shape else None
    if classes is None:  # the graph leaves it open, so it runs once
        feeds = {AUDIO: np.zeros((1, features_size, TRIAL_COLUMNS), np.float32), LENGTH: np.array([TRIAL_COLUMNS])}
        (scores,) = encoder.run((SCORES,), {name: feeds[name] for name in encoder.inputs})
        classes = scores.shape[-1]
    if classes != len(vocabulary):
        raise ModelInvalid(
            f"{encoder.path} scores {classes} classes, but the vocabulary has {len(vocabulary)} lines: {_FOREIGN}"
        )


def _check_frames(encoder: OrtSession, decoder: Decoder) -> None:
    size = encoder.outputs[FRAMES].shape[1] if encoder.outputs[FRAMES].shape else None
    if size not in {None, decoder.frame_size}:
        raise ModelInvalid(
            f"{encoder.path} gives {size} values a frame, but {decoder.joint.path.name} takes {decoder.frame_size}: {_FOREIGN}"
        )


def _features_size(encoder: OrtSession, configuration: ParakeetConfiguration) -> int:
    bins = encoder.inputs[AUDIO].shape[1]
    if bins is not None and configuration.features_size not in {0, bins}:
        raise ModelInvalid(
            f"{encoder.path} takes {bins} features, but config.json beside it says {configuration.features_size}: {_FOREIGN}"
        )
    return bins or configuration.features_size or FEATURES_SIZE


def _kind(decoder: Decoder, vocabulary: Vocabulary) -> ModelKind:
    classes, pieces = decoder.classes, len(vocabulary)
    kinds = {pieces: ModelKind.RNNT, pieces + DURATIONS: ModelKind.TDT}
    if classes not in kinds:
        raise ModelInvalid(
            f"{decoder.joint.path} scores {classes} classes, but the vocabulary has {pieces} lines: an RNN-T scores as many, "
            f"and a TDT {DURATIONS} durations more. {_FOREIGN.capitalize()}"
        )
    return kinds[classes]


def _contradiction(
    said: ModelKind, kind: ModelKind, encoder: OrtSession, decoder: Decoder | None, vocabulary: Vocabulary
) -> str:
    if decoder is None:
        found = f"{encoder.path} scores the vocabulary by itself, as a model of the kind {kind.label} does"
    else:
        found = (
            f"{decoder.joint.path} is the decoder of a model of the kind {kind.label}: it scores {decoder.classes} classes "
            f"for the {len(vocabulary)} lines of the vocabulary"
        )
    return (
        f"config.json says model_type {str(said)!r}, but {found}. If the files belong together, set model_type to "
        f"{str(kind)!r}; otherwise download the model again"
    )
