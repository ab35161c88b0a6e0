"""Greedy decoding of exported files, with a prediction network that may have read something before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mini_parakeet.corpus import Samples
from mini_parakeet.features import log_mel
from mini_parakeet.tokenizer import WORD_MARK

DURATION_CLASSES = 5
LONGEST_BURST = 10
MARKS = ".,?"
State = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Heard:
    text: str
    tokens: tuple[int, ...]


class Carried:
    """A model directory on one core; `recognize` takes the tokens that came before the audio as context."""

    def __init__(self, model: Path, quantization: str | None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        suffix = f".{quantization}" if quantization else ""

        def session(name: str) -> onnxruntime.InferenceSession:
            return onnxruntime.InferenceSession(
                str(model / f"{name}{suffix}.onnx"), options, providers=["CPUExecutionProvider"]
            )

        self.name = f"carried {quantization or 'fp32'}"
        self._encoder, self._decoder = session("encoder-model"), session("decoder_joint-model")
        lines = (model / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._pieces = [line.rsplit(" ", 1)[0] for line in lines]
        self._blank = len(self._pieces) - 1
        self._marks = {index for index, piece in enumerate(self._pieces) if piece in MARKS}
        self._width = self._decoder.get_inputs()[3].shape[2]

    def _step(self, frame: np.ndarray[Any, Any], tokens: list[int], state: State) -> tuple[np.ndarray[Any, Any], State]:
        """Logits (V + 1 + 5,) at `frame`, float (1, D, 1), after reading `tokens`."""
        feeds = {
            "encoder_outputs": frame,
            "targets": np.array([tokens], np.int32),
            "target_length": np.array([len(tokens)], np.int32),
            "input_states_1": state[0],
            "input_states_2": state[1],
        }
        outputs, _, hidden, cell = self._decoder.run(None, feeds)
        return outputs[0, 0, -1], (hidden, cell)

    def without_mark(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        """Tokens without the marks at their end: a pause doesn't say yet whether the sentence goes on."""
        while tokens and tokens[-1] in self._marks:
            tokens = tokens[:-1]
        return tokens

    def text(self, tokens: tuple[int, ...]) -> str:
        return "".join(self._pieces[token] for token in tokens).replace(WORD_MARK, " ").strip()

    def recognize(self, samples: Samples, context: tuple[int, ...] = ()) -> Heard:
        features = log_mel(samples)[None]
        feeds = {"audio_signal": features, "length": np.array([features.shape[2]], np.int64)}
        encoded, lengths = self._encoder.run(None, feeds)
        zeros = np.zeros((2, 1, self._width), np.float32)
        last = [self._blank, *context]
        state: State = (zeros, zeros)
        tokens: list[int] = []
        frame = burst = 0
        while frame < int(lengths[0]):
            logits, after = self._step(encoded[:, :, frame : frame + 1], last, state)
            token = int(logits[: self._blank + 1].argmax())
            duration = int(logits[self._blank + 1 :].argmax())
            if token != self._blank:
                tokens.append(token)
                last, state = [token], after
                burst += 1
            if duration > 0:
                frame, burst = frame + duration, 0
            elif token == self._blank or burst == LONGEST_BURST:
                frame, burst = frame + 1, 0
        return Heard(self.text(tuple(tokens)), tuple(tokens))
