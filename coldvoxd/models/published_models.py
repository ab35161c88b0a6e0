"""The models that are published for coldvoxd: repository, revision, and sizes and hashes of their files."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from coldvoxd.core.languages import ENGLISH, EUROPEAN
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.values import Precision
from coldvoxd.models.file_names import CONFIGURATION, DECODER_JOINT, ENCODER, TOKENS, VOCABULARY, graph_name


@dataclass(frozen=True, slots=True)
class PublishedFile:
    name: str
    size: int = -1
    """Bytes; -1 if only the hub knows."""
    sha256: str = ""
    """The hash or its beginning, in hex; empty if only the hub knows."""


@dataclass(frozen=True, slots=True)
class PublishedModel:
    repository: str
    revision: str
    """A pinned commit, so that all installations run the same weights."""
    files: Mapping[Precision, tuple[PublishedFile, ...]]
    """The files of each precision, the encoder's graph last: without it a directory counts as one without the model."""
    max_utterance_s: Mapping[Precision, float] = field(default_factory=dict)
    """Length in seconds from which a precision is reported to lose words."""
    seam: SeamMethod = SeamMethod.WINDOW
    """How sentences continue after a pause, if the settings leave it open. Not tried with the models that coldvoxd knows:
    `window` is right by construction, since it shows the model both sides of the pause."""
    languages: tuple[str, ...] | None = None
    """Codes of the languages that the weights recognize; None for all that the vocabulary has tokens for."""
    temperature: float = 1.0
    """Divisor of its scores before they become confidences. Not measured for the models that coldvoxd knows."""

    @property
    def usual_precision(self) -> Precision:
        """The precision to download if none is named: fp32, otherwise the first."""
        return Precision.FP32 if Precision.FP32 in self.files else next(iter(self.files))

    def size(self, precision: Precision) -> int:
        """Bytes to download, -1 if unknown."""
        sizes = [file.size for file in self.files[precision]]
        return -1 if -1 in sizes else sum(sizes)


def file_names(precision: Precision, *, external_data: bool) -> tuple[str, ...]:
    """The names of the files of a precision, in the order in which they are put in place."""
    encoder = graph_name(ENCODER, precision)
    weights = (f"{encoder}.data",) if external_data else ()
    return (CONFIGURATION, VOCABULARY, graph_name(DECODER_JOINT, precision), *weights, encoder)


_INT8_LONGEST = {Precision.INT8: 15.0}
"""The published int8 encoders are reported to lose words beyond about 20 s. Not tried here: they are not at hand."""
_CONFIGURATION = PublishedFile(CONFIGURATION, 97, "666903c7")
_ENCODER = (
    PublishedFile("encoder-model.onnx.data", 2_435_420_160),
    PublishedFile("encoder-model.onnx", 41_770_866),
)
_V2_VOCABULARY = PublishedFile(VOCABULARY, 9_384, "ec182b70")
_V3_VOCABULARY = PublishedFile(VOCABULARY, 93_939, "d5854467")

PUBLISHED: Mapping[str, PublishedModel] = {
    "parakeet-tdt-0.6b-v2": PublishedModel(
        "istupakov/parakeet-tdt-0.6b-v2-onnx",
        "0bbb45a3365852604aef28b538a8f066f4ccaa85",
        {
            Precision.FP32: (
                _CONFIGURATION,
                _V2_VOCABULARY,
                PublishedFile("decoder_joint-model.onnx", 35_792_059),
                *_ENCODER,
            ),
            Precision.INT8: (
                _CONFIGURATION,
                _V2_VOCABULARY,
                PublishedFile("decoder_joint-model.int8.onnx", 8_998_286, "a449f49a"),
                PublishedFile("encoder-model.int8.onnx", 652_184_014, "3e0581fd"),
            ),
        },
        _INT8_LONGEST,
        languages=ENGLISH,
    ),
    "parakeet-tdt-0.6b-v3": PublishedModel(
        "istupakov/parakeet-tdt-0.6b-v3-onnx",
        "8f23f0c03c8761650bdb5b40aaf3e40d2c15f1ce",
        {
            Precision.FP32: (
                _CONFIGURATION,
                _V3_VOCABULARY,
                PublishedFile("decoder_joint-model.onnx", 72_520_893),
                *_ENCODER,
            ),
            Precision.INT8: (
                _CONFIGURATION,
                _V3_VOCABULARY,
                PublishedFile("decoder_joint-model.int8.onnx", 18_202_004, "eea7483e"),
                PublishedFile("encoder-model.int8.onnx", 652_183_999, "6139d2fa"),
            ),
        },
        _INT8_LONGEST,
        languages=EUROPEAN,
    ),
    "parakeet-tdt-0.6b-v2-sherpa": PublishedModel(
        "csukuangfj/sherpa-onnx-nemo-parakeet-tdt-0.6b-v2-int8",
        "1ab9323565ddb038682214b292f588070a538ce2",
        {
            Precision.INT8: (
                PublishedFile(TOKENS, 9_384, "ec182b70"),
                PublishedFile("decoder.int8.onnx", 7_257_753, "b6bb6496"),
                PublishedFile("joiner.int8.onnx", 1_739_080, "79461643"),
                PublishedFile("encoder.int8.onnx", 652_184_296, "a32b12d1"),
            ),
        },
        _INT8_LONGEST,
        languages=ENGLISH,
    ),
    "parakeet-tdt-0.6b-v3-sherpa": PublishedModel(
        "csukuangfj/sherpa-onnx-nemo-parakeet-tdt-0.6b-v3-int8",
        "2bda32ec70b097a55adaa07d9a7173915b43cc78",
        {
            Precision.INT8: (
                PublishedFile(TOKENS, 93_939, "d5854467"),
                PublishedFile("decoder.int8.onnx", 11_845_275, "179e50c4"),
                PublishedFile("joiner.int8.onnx", 6_355_277, "3164c13f"),
                PublishedFile("encoder.int8.onnx", 652_184_281, "acfc2b44"),
            ),
        },
        _INT8_LONGEST,
        languages=EUROPEAN,
    ),
}
"""The models that coldvoxd knows; those in sherpa-onnx's layout were not tried here. Revisions, sizes and hashes are those that
other programs pin, some of them only one. RNN-T and CTC models are not among them: no pinned revision of theirs is known here.
`catalog` adds those that a user or an administrator lists."""


def pull_command(name: str, precision: Precision | None = None) -> str:
    """The command that downloads a model, in fp32 if no precision is given."""
    chosen = () if precision in {None, Precision.FP32} else ("--precision", str(precision))
    return shlex.join(("coldvoxctl", "model", "pull", name, *chosen))
