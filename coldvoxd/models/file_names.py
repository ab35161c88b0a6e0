"""The names of the files of a Parakeet model directory."""

from coldvoxd.core.values import Precision

ENCODER = "encoder-model"
DECODER_JOINT = "decoder_joint-model"
VOCABULARY = "vocab.txt"
CONFIGURATION = "config.json"


def graph_name(part: str, precision: Precision) -> str:
    """`encoder-model` -> `encoder-model.int8.onnx`; fp32 has no suffix."""
    return f"{part}.onnx" if precision is Precision.FP32 else f"{part}.{precision}.onnx"
