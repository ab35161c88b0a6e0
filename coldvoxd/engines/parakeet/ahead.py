"""Encodes several utterances in one run, before each is recognized."""

from dataclasses import replace

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.encoded_ahead import EncodedAhead
from coldvoxd.core.features import log_mel
from coldvoxd.core.values import SAMPLE_RATE, Utterance
from coldvoxd.engines.parakeet.encoder import Encoder
from coldvoxd.engines.parakeet.input_check import MIN_SAMPLES, check_input
from coldvoxd.engines.parakeet.silence import has_sound, without_exact_silence


def encode_ahead(
    encoder: Encoder, bins: int, utterances: tuple[Utterance, ...], maker: object, stop: CancellationToken | None
) -> tuple[Utterance, ...]:
    """Return the utterances with `encoded`, made by `maker`, where they have sound and the encoder takes several.

    `bins` is the number of mel bins. Raises InputFault, ProviderFault, OutputNotFinite and Stopped.
    """
    for utterance in utterances:
        check_input(utterance.samples, SAMPLE_RATE)
    chosen = [at for at, one in enumerate(utterances) if len(one.samples) >= MIN_SAMPLES and has_sound(one.samples)]
    if len(chosen) < 2 or not encoder.takes_several:
        return utterances
    heard = (without_exact_silence(utterances[at].samples) for at in chosen)
    encoded = encoder.encode_all([log_mel(one, bins) for one in heard], stop)
    found = {at: EncodedAhead(frames, maker) for at, frames in zip(chosen, encoded, strict=True)}
    return tuple(replace(one, encoded=found.get(at)) for at, one in enumerate(utterances))
