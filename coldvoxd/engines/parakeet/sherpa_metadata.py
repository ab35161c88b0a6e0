"""What the encoder of a model in sherpa-onnx's layout says in its metadata, as sherpa-onnx's exports of NeMo models have it.

Decoding follows sherpa-onnx where it differs from onnx-asr: it limits the tokens of a TDT at one frame to 5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.onnx_graph.metadata import metadata_of

SUBSAMPLING, FEATURES, NORMALIZATION, PIECES = "subsampling_factor", "feat_dim", "normalize_type", "vocab_size"
MAX_TOKENS_PER_STEP = 5
"""Of a TDT; of an RNN-T 10, as in onnx-asr."""
_PER_FEATURE = "per_feature"


@dataclass(frozen=True, slots=True)
class SherpaMetadata:
    """Numbers are 0 where the metadata lacks them."""

    subsampling_factor: int = 0
    features_size: int = 0


def read(encoder: Path) -> SherpaMetadata | None:
    """The metadata of an encoder's graph; None if it has none of sherpa-onnx's.

    Raises ModelInvalid for a model that needs other features than Parakeet's.
    """
    try:
        found = metadata_of(encoder)
    except (OSError, ValueError):  # opening the file reports the fault
        return None
    if NORMALIZATION not in found and SUBSAMPLING not in found:
        return None
    if found.get("is_giga_am", "0") not in {"", "0"}:
        raise ModelInvalid(f"{encoder} is the encoder of a GigaAM model; coldvoxd runs Parakeet models only")
    if found.get(NORMALIZATION, _PER_FEATURE) != _PER_FEATURE:
        raise ModelInvalid(
            f"{encoder} takes features with the normalization {found[NORMALIZATION] or 'NA'!r}, as streaming models do; "
            "coldvoxd recognizes whole utterances: take the offline (non-streaming) export of the model"
        )
    return SherpaMetadata(_number(encoder, found, SUBSAMPLING), _number(encoder, found, FEATURES))


def _number(encoder: Path, found: Mapping[str, str], key: str) -> int:
    text = found.get(key, "0")
    if not text.isdecimal():
        raise ModelInvalid(f"{encoder} has {text!r} for {key} in its metadata, but it must be a whole number")
    return int(text)
