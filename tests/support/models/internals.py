"""Parts of a recognizer that tests look at."""

from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.decoding import TransducerDecoding
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer


def transducer_of(recognizer: ParakeetRecognizer) -> TransducerDecoding:
    assert isinstance(recognizer._decoding, TransducerDecoding)
    return recognizer._decoding


def decoder_of(recognizer: ParakeetRecognizer) -> Decoder:
    return transducer_of(recognizer).decoder
