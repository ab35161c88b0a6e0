"""The names of the files of a Parakeet model directory, in each layout in which such models are published."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from coldvoxd.core.values import Precision

ENCODER = "encoder-model"
DECODER_JOINT = "decoder_joint-model"
VOCABULARY = "vocab.txt"
CONFIGURATION = "config.json"
TOKENS = "tokens.txt"
"""sherpa-onnx's name of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a model are called. Names of graphs are without precision and suffix."""

    encoder: str
    decoder: tuple[str, ...]
    """The graphs that decode the encoder's frames; none for CTC."""
    vocabulary: str = VOCABULARY


ONNX_ASR = Layout(ENCODER, (DECODER_JOINT,))
SHERPA = Layout("encoder", ("decoder", "joiner"), TOKENS)
CTC = Layout("model", ())
LAYOUTS = (
    ONNX_ASR,
    Layout("encoder", ("decoder_joint",)),  # as NeMo's own export calls the graphs
    SHERPA,
    CTC,
    Layout("model", (), TOKENS),
)
"""In the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """The files of a model in one precision."""

    encoder: str
    decoder: tuple[str, ...]
    vocabulary: str


def graph_name(part: str, precision: Precision) -> str:
    """`encoder-model` -> `encoder-model.int8.onnx`; fp32 has no suffix."""
    return f"{part}.onnx" if precision is Precision.FP32 else f"{part}.{precision}.onnx"


def precision_name(name: str, precision: Precision) -> str:
    """The name of a graph that is converted from the fp32 graph of this name."""
    return graph_name(name.removesuffix(".onnx"), precision)


def files_in(names: Iterable[str], precision: Precision, *, ctc_first: bool = False) -> FileNames | None:
    """The files of the first layout that is complete in a directory with these files; None if none is.

    As onnx-asr does it, a precision may be separated by any character: `encoder-model_int8.onnx`, `encoder-model-int8.onnx`.
    An encoder of another precision may have a decoder in fp32. `ctc_first` looks for a CTC model before transducers, for a
    directory that has both.
    """
    there = set(names)
    for layout in sorted(LAYOUTS, key=lambda layout: bool(layout.decoder)) if ctc_first else LAYOUTS:
        encoder = _graph_in(there, layout.encoder, precision)
        decoder = [
            _graph_in(there, part, precision) or _graph_in(there, part, Precision.FP32) for part in layout.decoder
        ]
        if layout.vocabulary in there and encoder and all(decoder):
            return FileNames(encoder, tuple(name for name in decoder if name), layout.vocabulary)
    return None


def expected_files(names: Iterable[str], precision: Precision) -> FileNames:
    """The files that a directory with these files should have: of the layout of which it has most, or onnx-asr's."""
    there = set(names)

    def of(layout: Layout) -> FileNames:
        encoder = _graph_in(there, layout.encoder, precision) or graph_name(layout.encoder, precision)
        decoder = (
            _graph_in(there, part, precision) or _graph_in(there, part, Precision.FP32) or graph_name(part, precision)
            for part in layout.decoder
        )
        return FileNames(encoder, tuple(decoder), layout.vocabulary)

    def graphs_there(layout: Layout) -> int:
        return sum(
            any(_graph_in(there, part, other) for other in Precision) for part in (layout.encoder, *layout.decoder)
        )

    return of(max(LAYOUTS, key=graphs_there))


def _graph_in(names: set[str], part: str, precision: Precision) -> str | None:
    """The graph of a part in a precision; the name with a point first."""
    usual = graph_name(part, precision)
    if usual in names or precision is Precision.FP32:
        return usual if usual in names else None
    pattern = re.compile(rf"{re.escape(part)}.{precision}\.onnx")
    return next((name for name in sorted(names) if pattern.fullmatch(name)), None)
