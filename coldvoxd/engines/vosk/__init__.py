"""Vosk (Kaldi), as a fallback engine."""

from pathlib import Path

from coldvoxd.core.fallback import FallbackEngine
from coldvoxd.core.ports.adapters import Recognizer

LONGEST_S = 60.0
"""Vosk has no limit of its own. A run takes time in proportion, so the recognizer's own measured limit is often lower."""
RUN_S = 10.0


def open_recognizer(path: Path, threads: int) -> Recognizer:  # noqa: ARG001 - the signature of every engine
    """Open a model's directory. Blocks. Raises LibraryUnusable, ModelMissing, ModelInvalid or ResourcesExhausted.

    Vosk recognizes on one thread, whatever `threads` is.
    """
    from coldvoxd.engines.vosk.recognizer import VoskRecognizer

    return VoskRecognizer.open(path)


def check(path: Path) -> None:
    """Check the library and the directory. Raises LibraryUnusable, ModelMissing or ModelInvalid."""
    from coldvoxd.engines.vosk import binding
    from coldvoxd.engines.vosk.model_directory import check_directory

    binding.library()
    check_directory(path)


ENGINE = FallbackEngine(open_recognizer, check, longest_s=LONGEST_S, run_s=RUN_S, stops_quickly=True)
