"""The value that names the files of a prepared form."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PreparedForm:
    """A model's graphs, optimized and packed by ONNX Runtime for this machine, to be memory-mapped."""

    directory: Path
    encoder: tuple[Path, ...]
    """The encoder's pieces, in the order in which they run."""
    weights: Path
    """The file of the encoder's weights."""
    decoder: tuple[Path, ...]
    """The prediction network and the joint network, or decoder_joint alone; none for CTC."""
    threads: int = 0
    """Number of threads with which the encoder was fastest when it was measured here; 0 if it was not measured."""
    decoder_threads: int = 0
    masks: bool = True
    """Whether the encoder masks columns beyond the features' given length. If not, there must be none."""
