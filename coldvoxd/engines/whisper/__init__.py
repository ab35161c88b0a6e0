"""OpenAI's Whisper on whisper.cpp, as a fallback engine."""

from pathlib import Path

from coldvoxd.core.fallback import FallbackEngine
from coldvoxd.core.ports.adapters import Recognizer

WINDOW_S = 30.0
"""Seconds of audio that the encoder takes at once. Shorter audio is padded, so each run takes as long as the longest."""
RUN_S = 60.0
"""A run of a large model on a slow CPU takes tens of seconds, and a shorter utterance would take as long."""


def open_recognizer(path: Path, threads: int) -> Recognizer:
    """Open a ggml file. Blocks. Raises LibraryUnusable, ModelMissing, ModelInvalid or ResourcesExhausted."""
    from coldvoxd.engines.whisper.recognizer import WhisperRecognizer

    return WhisperRecognizer.open(path, threads)


def check(path: Path) -> None:
    """Check the library and the file. Raises LibraryUnusable, ModelMissing or ModelInvalid."""
    from coldvoxd.engines.whisper import binding
    from coldvoxd.engines.whisper.ggml_file import read_ggml

    binding.library()
    read_ggml(path)


ENGINE = FallbackEngine(open_recognizer, check, longest_s=WINDOW_S, run_s=RUN_S, stops_quickly=False)
"""A run that is cancelled ends after the encoder, which takes most of the time, or between two tokens."""
