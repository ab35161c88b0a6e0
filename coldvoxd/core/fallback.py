"""The engines that recognize while the model of the settings cannot be loaded."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.core.toml_spelling import toml_spelling

if TYPE_CHECKING:  # it imports numpy, and the command line must start fast
    from coldvoxd.core.ports.adapters import Recognizer

ENTRY_POINTS = "coldvoxd.engines"
"""Group of the entry points by which the engines are found. An entry point names a `FallbackEngine`."""
PARAKEET = "parakeet"
"""Name of the engine of the model in the settings."""


class Fallback(StrEnum):
    """Values of the setting `fallback`: the names of the entry points, and `off`."""

    OFF = "off"
    WHISPER = "whisper"
    VOSK = "vosk"


def parse_path(value: object) -> str:
    """Return a path from a value in the settings; empty for none. Raises ValueError, which completes a sentence."""
    if not isinstance(value, str):
        raise ValueError(f"must be a path in quotes, not {toml_spelling(value)}")  # noqa: TRY004 - one kind for all
    return value.strip()


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """The engine that recognizes, and what depends on it."""

    name: str = ""
    """`parakeet`, or the name of a fallback engine; empty while no model is loaded."""
    has_seams: bool = True
    """Whether the engine determines whether a sentence continues after a pause."""
    has_partials: bool = True
    """Whether words are published while an utterance is being spoken."""
    has_alternatives: bool = True
    """Whether other texts can accompany each text."""
    features_size: int = 0
    """Number of mel bins of its model; 0 if it takes no features, or none has been opened yet."""


@dataclass(frozen=True, slots=True)
class FallbackEngine:
    """An engine, and what recognition must know of it. The library of the engine is imported by `open` only."""

    open: Callable[[Path, int], "Recognizer"]
    """Opens the model at a path with a number of threads; 0 means one for each physical core. Blocks. Opens no network
    connection. Raises LibraryUnusable, ModelMissing, ModelInvalid or ResourcesExhausted."""
    check: Callable[[Path], None]
    """Finds out quickly whether `open` would fail, by the same errors except ResourcesExhausted. Does not load the model."""
    longest_s: float
    """Maximum length in seconds of an utterance that it recognizes in one run; longer ones are cut."""
    run_s: float
    """Seconds that any run may take, however short the utterance is, before the utterance is repeated in two pieces."""
    stops_quickly: bool
    """Whether a cancelled run ends within moments. Otherwise no words are published while an utterance is being spoken,
    because such a run would delay the text."""
