"""Compares recognition with onnx-asr and sherpa-onnx, token for token, with the same weights."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_asr

from coldvoxd.core.values import SAMPLE_RATE, Precision, Token
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.vocabulary import WORD_START
from coldvoxd.models import find_model
from coldvoxd.native.opening import session_options
from tests.support.sound.speech import Wave

THREADS = 1
"""The clips are short: more threads would only wait for each other."""

FRAME_S = 0.08
Placed = list[tuple[int, int]]
"""Ids and encoder frames."""


@dataclass(frozen=True)
class Equality:
    """How far the tokens of some clips agree."""

    model: str
    precision: Precision
    clips: int
    tokens: int
    parted: tuple[str, ...]
    """Clips with other tokens, or the same ones at other frames, from the peer's features."""
    parted_alone: tuple[str, ...]
    """The same from our own features: the whole recognition, as a user has it."""
    other_ids: tuple[str, ...]
    """Those of them with other tokens, and not only other frames."""


def placed(tokens: Iterable[Token]) -> Placed:
    return [(token.id, token.encoder_frame) for token in tokens]


def open_peer(directory: Path, precision: Precision) -> Any:
    """Open onnx-asr's model of the kind that config.json names."""
    kind = json.loads((directory / "config.json").read_text())["model_type"]
    adapter: Any = onnx_asr.load_model(
        kind,
        path=directory,
        quantization=None if precision is Precision.FP32 else str(precision),
        providers=["CPUExecutionProvider"],
        sess_options=session_options(THREADS),
    )
    return adapter.asr


def compared(directory: Path, precision: Precision, clips: Sequence[tuple[str, Wave]]) -> Equality:
    """Recognize each clip with both."""
    ours = ParakeetRecognizer.open(find_model(str(directory), precision), threads=THREADS)
    peer = open_peer(directory, precision)
    parted, parted_alone, other_ids = [], [], []
    tokens = 0
    for name, wave in clips:
        features, lengths = peer._preprocessor(wave[None], np.array([len(wave)]))
        ((ids, frames, _),) = peer._decoding(*peer._encode(features, lengths), need_logprobs=True)
        reference = [(int(token), int(frame)) for token, frame in zip(ids, frames, strict=True)]
        columns = np.ascontiguousarray(features[0, :, : lengths[0]])
        alone = placed(ours.recognize_samples(wave).tokens)
        tokens += len(reference)
        if placed(ours.decode(ours.encode(columns))) != reference:
            parted.append(name)
        if alone != reference:
            parted_alone.append(name)
        if [token for token, _ in alone] != [token for token, _ in reference]:
            other_ids.append(name)
    kind = ours.kind.label
    ours.close()
    return Equality(kind, precision, len(clips), tokens, tuple(parted), tuple(parted_alone), tuple(other_ids))


def open_sherpa(directory: Path) -> Any:
    """Open sherpa-onnx's recognizer of a model in its layout, in fp32."""
    import sherpa_onnx

    files = {part: str(directory / f"{part}.onnx") for part in ("encoder", "decoder", "joiner")}
    return sherpa_onnx.OfflineRecognizer.from_transducer(
        **files,
        tokens=str(directory / "tokens.txt"),
        num_threads=THREADS,
        feature_dim=128,
        model_type="nemo_transducer",
    )


def heard_by_sherpa(peer: Any, wave: Wave) -> tuple[str, list[tuple[str, int]]]:
    """The text, and the pieces with their encoder frames."""
    stream = peer.create_stream()
    stream.accept_waveform(SAMPLE_RATE, wave)
    peer.decode_stream(stream)
    result = stream.result
    pieces = [piece.replace(" ", WORD_START) for piece in result.tokens]
    frames = [round(seconds / FRAME_S) for seconds in result.timestamps]
    return result.text.strip(), list(zip(pieces, frames, strict=True))


def pieces_of(recognizer: ParakeetRecognizer, tokens: Iterable[Token]) -> list[tuple[str, int]]:
    """Our tokens as `heard_by_sherpa` has them."""
    return [(recognizer.vocabulary.pieces[token.id], token.encoder_frame) for token in tokens]
