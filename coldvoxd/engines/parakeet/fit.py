"""Checks that the graphs, the vocabulary and the configuration of a model belong together."""

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.opening import DURATIONS
from coldvoxd.engines.parakeet.vocabulary import Vocabulary
from coldvoxd.native.session import OrtSession


def check_fit(
    encoder: OrtSession, decoder: Decoder, vocabulary: Vocabulary, configuration: ParakeetConfiguration
) -> None:
    """Raise ModelInvalid where the parts of a model don't fit together, with the remedy."""
    missing = {"audio_signal", "length", "outputs", "encoded_lengths"} - {*encoder.inputs, *encoder.outputs}
    if missing:
        raise ModelInvalid(
            f"{encoder.path} is not the encoder of a Parakeet TDT: it lacks {', '.join(sorted(missing))}"
        )
    bins = encoder.inputs["audio_signal"].shape[1]
    if bins not in {None, configuration.features_size}:
        raise ModelInvalid(
            f"{encoder.path} takes {bins} features, but config.json beside it says {configuration.features_size} "
            "(80 if it has no value): the files do not belong together, download the model again"
        )
    joint = decoder.joint
    classes = joint.outputs["outputs"].shape[-1] if joint.outputs["outputs"].shape else None
    if classes not in {None, len(vocabulary) + DURATIONS}:
        raise ModelInvalid(
            f"{joint.path} scores {classes} classes, but vocab.txt has {len(vocabulary)} lines and there are "
            f"{DURATIONS} durations: the files do not belong together, download the model again"
        )
    encoder_size, joint_size = encoder.outputs["outputs"].shape[1], joint.inputs["encoder_outputs"].shape[1]
    if None not in {encoder_size, joint_size} and encoder_size != joint_size:
        raise ModelInvalid(
            f"{encoder.path} gives {encoder_size} values a frame, but {joint.path.name} takes {joint_size}: "
            "the files do not belong together, download the model again"
        )
