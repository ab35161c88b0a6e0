"""Checks that the graphs, the vocabulary and the configuration of a model belong together, and what kind of model they are."""

from dataclasses import replace

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.engines.parakeet.configuration import FEATURES_SIZE, ParakeetConfiguration
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.encoder import AUDIO, FRAME_COUNT, FRAMES, LENGTH
from coldvoxd.engines.parakeet.vocabulary import Vocabulary
from coldvoxd.native.session import OrtSession

DURATIONS = 5
"""The durations of a Parakeet TDT are 0 to 4 encoder frames."""
_FOREIGN = "the files do not belong together, download the model again"


def settled(
    encoder: OrtSession, decoder: Decoder, vocabulary: Vocabulary, configuration: ParakeetConfiguration
) -> ParakeetConfiguration:
    """The configuration with the kind and the number of features that the graphs have.

    Raises ModelInvalid where the parts of a model don't fit together, or where the configuration says something else, with
    the remedy.
    """
    missing = {AUDIO, LENGTH, FRAMES, FRAME_COUNT} - {*encoder.inputs, *encoder.outputs}
    if missing:
        raise ModelInvalid(f"{encoder.path} is not the encoder of a Parakeet: it lacks {', '.join(sorted(missing))}")
    features_size = _features_size(encoder, configuration)
    kind = _kind(decoder, vocabulary, configuration)
    encoder_size = encoder.outputs[FRAMES].shape[1] if encoder.outputs[FRAMES].shape else None
    if encoder_size not in {None, decoder.frame_size}:
        raise ModelInvalid(
            f"{encoder.path} gives {encoder_size} values a frame, but {decoder.joint.path.name} takes {decoder.frame_size}: "
            f"{_FOREIGN}"
        )
    return replace(configuration, kind=kind, features_size=features_size)


def _features_size(encoder: OrtSession, configuration: ParakeetConfiguration) -> int:
    bins = encoder.inputs[AUDIO].shape[1]
    if bins is not None and configuration.features_size not in {0, bins}:
        raise ModelInvalid(
            f"{encoder.path} takes {bins} features, but config.json beside it says {configuration.features_size}: {_FOREIGN}"
        )
    return bins or configuration.features_size or FEATURES_SIZE


def _kind(decoder: Decoder, vocabulary: Vocabulary, configuration: ParakeetConfiguration) -> ModelKind:
    path, classes, pieces = decoder.joint.path, decoder.classes, len(vocabulary)
    kinds = {pieces: ModelKind.RNNT, pieces + DURATIONS: ModelKind.TDT}
    if classes not in kinds:
        raise ModelInvalid(
            f"{path} scores {classes} classes, but vocab.txt has {pieces} lines: an RNN-T scores as many, and a TDT "
            f"{DURATIONS} durations more. {_FOREIGN.capitalize()}"
        )
    kind = kinds[classes]
    if configuration.kind is not None and configuration.kind is not kind:
        raise ModelInvalid(
            f"config.json says model_type {str(configuration.kind)!r}, but {path} is the decoder of a model of the kind "
            f"{kind.label}: it scores {classes} classes for the {pieces} lines of vocab.txt. If the files belong together, set "
            f"model_type to {str(kind)!r}; otherwise download the model again"
        )
    return kind
