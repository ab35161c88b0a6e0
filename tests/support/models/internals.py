"""Parts of a recognizer that tests look at."""

import re
from pathlib import Path

import onnx

from coldvoxd.engines.parakeet.decoder import Decoder
from coldvoxd.engines.parakeet.decoding import TransducerDecoding
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer


def transducer_of(recognizer: ParakeetRecognizer) -> TransducerDecoding:
    assert isinstance(recognizer._decoding, TransducerDecoding)
    return recognizer._decoding


def decoder_of(recognizer: ParakeetRecognizer) -> Decoder:
    return transducer_of(recognizer).decoder


def layers_of(encoder: Path) -> int:
    """Return how many layers an exported encoder has, by the names of its nodes."""
    names = (node.name for node in onnx.load(encoder, load_external_data=False).graph.node)
    return len({found[0] for name in names if (found := re.match(r"/layers\.\d+/", name))})
