"""Vosk: recognizes an utterance."""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ModelInvalid, ProviderFault, ResourcesExhausted
from coldvoxd.core.shortage import MEMORY
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Precision, Token, Utterance, Word
from coldvoxd.engines.audio_input import has_speech_room
from coldvoxd.engines.vosk import binding
from coldvoxd.engines.vosk.binding import VoskLibrary
from coldvoxd.engines.vosk.model_directory import check_directory
from coldvoxd.native.providers import CPU_PROVIDER

PIECE_SAMPLES = SAMPLE_RATE // 5
"""Samples that are decoded at once, 200 ms: a cancelled run ends after one piece."""
FRAMES_PER_SECOND = 12.5
"""Of `Token.encoder_frame`, which counts 80 ms."""


class VoskRecognizer:
    """Implements core.ports.Recognizer. Blocks; one thread at a time.

    Texts are in lower case, without punctuation.
    """

    def __init__(self, vosk: VoskLibrary, model: Any) -> None:
        """Use `open`. `model` is a loaded model of the library."""
        self._vosk = vosk
        self._model = model

    @classmethod
    def open(cls, directory: Path) -> "VoskRecognizer":
        """Load a model. Raises LibraryUnusable, ModelMissing, ModelInvalid or ResourcesExhausted."""
        vosk = binding.library()
        check_directory(directory)
        try:
            model = vosk.load_model(directory)
        except MemoryError as error:
            raise ResourcesExhausted(MEMORY) from error
        if model is not None and vosk.make_recognizer(model, SAMPLE_RATE) is None:  # a damaged graph is found only here
            vosk.free_model(model)
            model = None
        if model is None:
            raise ModelInvalid(f"Vosk cannot load {directory}: it is damaged, or too large for the memory")
        return cls(vosk, model)

    @property
    def provider(self) -> str:
        """Vosk runs on the CPU."""
        return CPU_PROVIDER

    @property
    def precision(self) -> Precision:
        """Kaldi computes with 32-bit numbers."""
        return Precision.FP32

    @property
    def features_size(self) -> int:
        """0: Vosk computes its own features."""
        return 0

    @property
    def languages(self) -> tuple[str, ...]:
        """Empty: a model is of one language, and does not say which."""
        return ()

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault, InputFault, or Stopped once `stop` is cancelled.

        Returns an empty text, without a run, for less than 20 ms and for audio that is exactly zero throughout.
        """
        began_s = time.perf_counter()
        words: tuple[Word, ...] = ()
        if has_speech_room(utterance.samples):
            words = tuple(self._words(utterance, stop))
        tokens = tuple(
            Token(-1, round(word.start_s * FRAMES_PER_SECOND), 0, math.log(max(word.confidence, 1e-9)))
            for word in words
        )
        return Hypothesis(
            text=" ".join(word.text for word in words),
            tokens=tokens,
            words=words,
            confidence=math.exp(sum(token.logprob for token in tokens) / len(tokens)) if tokens else 0.0,
            provider=self.provider,
            inference_s=time.perf_counter() - began_s,
        )

    def close(self) -> None:
        """Release the model and its memory. Recognizing afterwards raises ProviderFault."""
        model, self._model = self._model, None
        if model is not None:
            self._vosk.free_model(model)

    def _words(self, utterance: Utterance, stop: CancellationToken | None) -> Iterator[Word]:
        if self._model is None:
            raise ProviderFault("The model of Vosk is closed.")
        recognizer = self._vosk.make_recognizer(self._model, SAMPLE_RATE)
        if recognizer is None:
            raise ProviderFault("Vosk cannot start a recognition.")
        samples = np.clip(utterance.samples * 32_768, -32_768, 32_767).astype(np.int16)
        for begin in range(0, len(samples), PIECE_SAMPLES):
            if stop is not None:
                stop.check()
            if self._vosk.accept(recognizer, samples[begin : begin + PIECE_SAMPLES].tobytes()):
                yield from _read(self._vosk.result(recognizer), utterance.duration_s)
        if stop is not None:
            stop.check()
        yield from _read(self._vosk.final_result(recognizer), utterance.duration_s)


def _read(result: str, duration_s: float) -> Iterator[Word]:
    """Yield the words of a result, with times within the duration."""
    for word in json.loads(result).get("result", ()):
        start_s = min(max(0.0, word["start"]), duration_s)
        end_s = min(max(start_s, word["end"]), duration_s)
        yield Word(word["word"], start_s, end_s, min(1.0, max(0.0, word["conf"])))
