"""What a model directory's config.json says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.features import HOP_SAMPLES
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.engines.parakeet.tdt import MAX_TOKENS_PER_STEP

MODEL_TYPE = "nemo-conformer-tdt"


@dataclass(frozen=True, slots=True)
class ParakeetConfiguration:
    features_size: int = 80
    """Mel bins."""
    subsampling_factor: int = 8
    """Feature columns to one encoder frame."""
    max_tokens_per_step: int = MAX_TOKENS_PER_STEP

    @property
    def seconds_per_frame(self) -> float:
        """0.08 for Parakeet."""
        return self.subsampling_factor * HOP_SAMPLES / SAMPLE_RATE

    @classmethod
    def read(cls, path: Path | None) -> "ParakeetConfiguration":
        """From `config.json`; the defaults where there is none. Raises ModelInvalid."""
        if path is None:
            return cls()
        try:
            content: Any = json_value(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelInvalid(f"{path} cannot be read ({error}): download the model again") from error
        if not isinstance(content, dict):
            raise ModelInvalid(f"{path} is not a JSON object: download the model again")
        kind = content.get("model_type", MODEL_TYPE)
        if kind != MODEL_TYPE:
            raise ModelInvalid(f"{path} says model_type {kind!r}; coldvoxd runs {MODEL_TYPE!r} only")
        values = {}
        for name in ("features_size", "subsampling_factor", "max_tokens_per_step"):
            value = content.get(name, getattr(cls(), name))
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelInvalid(f"{path}: {name} is {value!r}, but must be a whole number above 0")
            values[name] = value
        return cls(**values)
