"""What a model directory says about itself: in config.json, as onnx-asr reads it, or in sherpa-onnx's metadata."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.features import HOP_SAMPLES
from coldvoxd.core.foreign_models import REMEDY, kind_of_type
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import SAMPLE_RATE, ModelFiles
from coldvoxd.engines.parakeet import sherpa_metadata
from coldvoxd.engines.parakeet.tdt import MAX_TOKENS_PER_STEP

FEATURES_SIZE = 80
"""Mel bins if neither config.json nor the encoder's graph has their number."""


@dataclass(frozen=True, slots=True)
class ParakeetConfiguration:
    kind: ModelKind | None = None
    """None if the directory does not say it: the graphs do."""
    features_size: int = 0
    """Mel bins; 0 if the directory does not say it."""
    subsampling_factor: int = 8
    """Feature columns to one encoder frame."""
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP
    tdt_tokens_per_step: int = 0
    """The limit where the model turns out to be a TDT, if that differs; otherwise 0."""

    @property
    def seconds_per_frame(self) -> float:
        """0.08 for Parakeet."""
        return self.subsampling_factor * HOP_SAMPLES / SAMPLE_RATE

    @property
    def frame_samples(self) -> int:
        """Samples to one encoder frame."""
        return self.subsampling_factor * HOP_SAMPLES

    @classmethod
    def of(cls, files: ModelFiles) -> "ParakeetConfiguration":
        """From `config.json`, and from the metadata of the encoder's graph what that lacks. Raises ModelInvalid."""
        metadata = sherpa_metadata.read(files.encoder)
        if metadata is None:
            return cls.read(files.config)
        defaults = cls(
            features_size=metadata.features_size,
            subsampling_factor=metadata.subsampling_factor or cls().subsampling_factor,
            tdt_tokens_per_step=sherpa_metadata.MAX_TOKENS_PER_STEP,
        )
        return cls.read(files.config, defaults)

    @classmethod
    def read(cls, path: Path | None, defaults: "ParakeetConfiguration | None" = None) -> "ParakeetConfiguration":
        """From `config.json`; the defaults where there is none, and for what it lacks. Raises ModelInvalid."""
        known = defaults or cls()
        if path is None:
            return known
        try:
            content: Any = json_value(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelInvalid(f"{path} cannot be read ({error}): download the model again") from error
        if not isinstance(content, dict):
            raise ModelInvalid(f"{path} is not a JSON object: download the model again")
        values: dict[str, Any] = {name: _number(path, name, content[name]) for name in _NUMBERS if name in content}
        if "max_tokens_per_step" in values:
            values["tdt_tokens_per_step"] = 0
        return replace(known, kind=_kind(path, content.get("model_type")), **values)


_NUMBERS = ("features_size", "subsampling_factor", "max_tokens_per_step")


def _kind(path: Path, value: object) -> ModelKind | None:
    if value is None:
        return None
    if isinstance(value, str) and value in list(ModelKind):
        return ModelKind(value)
    named = kind_of_type(value) if isinstance(value, str) else ""
    raise ModelInvalid(f"{path} says model_type {value!r}" + (f", which is {named}" if named else ""), REMEDY)


def _number(path: Path, name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelInvalid(f"{path}: {name} is {value!r}, but must be a whole number above 0")
    return value
