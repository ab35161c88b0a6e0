"""Whisper on whisper.cpp: recognizes an utterance."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.languages import AUTO, ENGLISH, is_code
from coldvoxd.core.values import SAMPLE_RATE, Hypothesis, Precision, Utterance
from coldvoxd.engines.audio_input import has_speech_room
from coldvoxd.engines.whisper import binding
from coldvoxd.engines.whisper.ggml_file import GgmlFile, read_ggml
from coldvoxd.engines.whisper.words import WhisperToken, confidence, tokens_of, words_of
from coldvoxd.native.processor import physical_cores
from coldvoxd.native.providers import CPU_PROVIDER

SHORTEST_SAMPLES = SAMPLE_RATE * 11 // 10
"""whisper.cpp returns nothing for less than a second of audio; the rest of the encoder's window is silent anyway."""


class WhisperRecognizer:
    """Implements core.ports.Recognizer. Blocks; one thread at a time.

    Decodes greedily at temperature 0 without context, so the same audio always gives the same text. A cancelled run ends
    after the encoder or between two tokens.
    """

    def __init__(self, whisper: Any, context: Any, file: GgmlFile, threads: int) -> None:
        """Use `open`. `whisper` is pywhispercpp's extension module, and `context` a loaded model."""
        self._whisper = whisper
        self._context = context
        self._threads = threads
        self._is_multilingual = file.is_multilingual
        self.precision: Precision = file.precision
        """`int8` for all quantized files."""

    @classmethod
    def open(cls, path: Path, threads: int = 0) -> "WhisperRecognizer":
        """Load a ggml file. Raises LibraryUnusable, ModelMissing, ModelInvalid or ResourcesExhausted."""
        whisper = binding.library()
        file = read_ggml(path)
        return cls(whisper, binding.load(whisper, path), file, threads or physical_cores())

    @property
    def provider(self) -> str:
        """whisper.cpp runs on the CPU."""
        return CPU_PROVIDER

    @property
    def features_size(self) -> int:
        """0: whisper.cpp computes its own features."""
        return 0

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of two letters; an English model has one."""
        if not self._is_multilingual:
            return ENGLISH
        names = map(self._whisper.whisper_lang_str, range(self._whisper.whisper_lang_max_id() + 1))
        return tuple(sorted(filter(is_code, names)))

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        """Transcribe, or raise ProviderFault, InputFault, or Stopped once `stop` is cancelled.

        Returns an empty text, without a run, for less than 20 ms and for audio that is exactly zero throughout.
        """
        began_s = time.perf_counter()
        tokens: tuple[WhisperToken, ...] = ()
        if has_speech_room(utterance.samples):
            self._run(utterance.samples, utterance.language, stop)
            tokens = tuple(self._text_tokens())
        words = words_of(tokens, utterance.duration_s)
        return Hypothesis(
            text=" ".join(word.text for word in words),
            tokens=tokens_of(tokens),
            words=words,
            confidence=confidence(tokens),
            provider=self.provider,
            inference_s=time.perf_counter() - began_s,
        )

    def close(self) -> None:
        """Release the model and its memory. Recognizing afterwards raises ProviderFault."""
        context, self._context = self._context, None
        if context is not None:
            self._whisper.whisper_free(context)

    def _run(self, samples: npt.NDArray[np.float32], language: str, stop: CancellationToken | None) -> None:
        if self._context is None:
            raise ProviderFault("The model of whisper.cpp is closed.")
        if stop is not None:
            stop.check()
        padded = np.pad(samples, (0, max(0, SHORTEST_SAMPLES - len(samples))))
        parameters = self._parameters(language)
        if stop is not None:
            self._whisper.assign_abort_callback(parameters, lambda: stop.asked)
        try:
            code = self._whisper.whisper_full(self._context, parameters, padded, len(padded))
        except MemoryError:
            raise
        except Exception as error:  # any exception of C++
            raise ProviderFault(f"whisper.cpp failed: {type(error).__name__}: {error}") from error
        if stop is not None:
            stop.check()
        if code:
            raise ProviderFault(f"whisper.cpp failed with code {code}")

    def _parameters(self, language: str) -> Any:
        whisper = self._whisper
        parameters = whisper.whisper_full_default_params(whisper.whisper_sampling_strategy.WHISPER_SAMPLING_GREEDY)
        parameters.n_threads = self._threads
        parameters.print_progress = False
        parameters.no_context = True
        parameters.temperature_inc = 0.0  # no second decoding with random sampling
        parameters.suppress_nst = True  # no texts such as (music)
        parameters.token_timestamps = True
        if not self._is_multilingual:
            parameters.language = ENGLISH[0]
        elif language == AUTO or language not in self.languages:
            parameters.language = ""
        else:
            parameters.language = language
        return parameters

    def _text_tokens(self) -> Iterator[WhisperToken]:
        whisper, context = self._whisper, self._context
        first_special = whisper.whisper_token_eot(context)
        for segment in range(whisper.whisper_full_n_segments(context)):
            for number in range(whisper.whisper_full_n_tokens(context, segment)):
                token = whisper.whisper_full_get_token_data(context, segment, number)
                if token.id < first_special:
                    text = whisper.whisper_token_to_bytes(context, token.id)
                    yield WhisperToken(token.id, text, token.t0, token.t1, token.p)
