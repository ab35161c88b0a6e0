"""The tokens of onnx-asr with the same model files, where it is installed."""

import importlib.util
from typing import Any

from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.evaluate.libraries import named, require
from coldvoxd.evaluate.peers import ONNX_ASR
from coldvoxd.first_run import speech
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.models.file_names import ENCODER
from coldvoxd.native.opening import session_options
from coldvoxd.native.providers import CPU_PROVIDER

Placed = list[list[Any]]
"""Pieces and encoder frames, as JSON has them."""
FRAME_S = 0.08


def is_installed() -> bool:
    """Return whether onnx-asr can be imported; nothing is loaded."""
    try:
        return importlib.util.find_spec("onnx_asr") is not None
    except ImportError:  # of a finder that hides it
        return False


def is_readable(files: ModelFiles) -> bool:
    """Return whether onnx-asr knows the names of these files."""
    return files.encoder.name.startswith((ENCODER, "model"))


def tokens_of(files: ModelFiles, kind: str, threads: int, deadline: Deadline) -> tuple[str, list[Placed], str]:
    """Return onnx-asr's name with its version, its tokens for each recording, and how many of all were done.

    Raises LibraryUnusable, or ProviderFault if it fails.
    """
    library = require("onnx_asr", "The comparison of tokens", ONNX_ASR)
    try:
        model = library.load_model(
            kind,
            path=files.directory,
            quantization=None if files.precision is Precision.FP32 else str(files.precision),
            providers=[CPU_PROVIDER],
            sess_options=session_options(threads),
        ).with_timestamps()
        found = [_placed(model.recognize(one.wave)) for one in deadline.each(speech.recordings())]
    except Exception as error:  # of any library; it is a finding of its step
        raise ProviderFault(f"onnx-asr failed: {type(error).__name__}: {error}") from error
    return named(ONNX_ASR), found, share_of(len(found), speech.recordings())


def compared(ours: list[Placed], theirs: list[Placed]) -> dict[str, Any]:
    """Return in how many recordings tokens differ, and in how many only their frames do. No text is in it."""
    pairs = list(zip(ours, theirs, strict=False))
    other_tokens = sum([piece for piece, _ in one] != [piece for piece, _ in other] for one, other in pairs)
    other_frames = sum(one != other for one, other in pairs) - other_tokens
    return {
        "recordings": len(pairs),
        "tokens": sum(len(other) for _, other in pairs),
        "other_tokens": other_tokens,
        "other_frames": other_frames,
    }


def _placed(result: Any) -> Placed:
    return [
        [str(piece).replace("\u2581", " "), round(seconds / FRAME_S)]
        for piece, seconds in zip(result.tokens or (), result.timestamps or (), strict=True)
    ]
