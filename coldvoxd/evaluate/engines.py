"""Engines under evaluation: coldvoxd's own recognizer, as `coldvoxctl transcribe` uses it."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from coldvoxd.audio.riff import wav_head
from coldvoxd.core import languages
from coldvoxd.core.errors import NotSupported
from coldvoxd.core.ports import Recognizer
from coldvoxd.core.provider_names import short_name
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.settings import ModelSettings, Settings
from coldvoxd.core.values import SAMPLE_RATE, EngineStatus, Precision
from coldvoxd.evaluate.noise import Wave
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.directories import shortened
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.recognition.in_process import open_in_process
from coldvoxd.vad.silero import SileroDetector

OWN = "coldvoxd"


class Engine(Protocol):
    """Turns a recording into text."""

    @property
    def model(self) -> str:
        """The model's name."""
        ...

    @property
    def provider(self) -> str:
        """Short name of the execution provider that it really uses."""
        ...

    @property
    def precision(self) -> str: ...

    def transcribe(self, wave: Wave) -> str:
        """Return the text of float32 (n,) at 16 kHz. Blocks. Raises ColdvoxError."""
        ...

    def close(self) -> None: ...


class OwnEngine:
    """coldvoxd's recognizer with the voice activity detection, pieces and seams of `coldvoxctl transcribe --local`."""

    def __init__(self, settings: Settings) -> None:
        """Open the model that the settings name. Blocks for seconds.

        Raises ColdvoxError, also for a language that the model lacks: an evaluation without it would be another one.
        """
        name, precision = settings.model.name, Precision.on_cpu(settings.model.precision)
        self.model = shortened(name)
        self.recognizer: Recognizer = open_recognizer(settings.model)
        self._detector = SileroDetector()
        self._seam_rules = SeamRules.of(settings.dictation.seam, seam_method_of(name), settings.dictation.seam_s)
        self._longest_s = max_utterance_s(name, precision)
        self.language = settings.dictation.language
        try:
            languages.check(
                self.language, EngineStatus(model=self.model, ready=True, languages=self.recognizer.languages)
            )
        except NotSupported:
            self.recognizer.close()
            raise

    @property
    def provider(self) -> str:
        """Short name of the encoder's execution provider."""
        return short_name(self.recognizer.provider)

    @property
    def precision(self) -> str:
        """The precision of the weights."""
        return str(self.recognizer.precision)

    def transcribe(self, wave: Wave) -> str:
        """Return the text of float32 (n,) at 16 kHz. Blocks. Raises ColdvoxError."""
        with as_file(wave) as descriptor:
            return transcribe_file(
                descriptor,
                self.recognizer,
                self._detector,
                seam_rules=self._seam_rules,
                longest_s=self._longest_s,
                language=self.language,
            ).text

    def close(self) -> None:
        """Release the model."""
        self.recognizer.close()


def open_recognizer(settings: ModelSettings) -> Recognizer:
    """Open the model as `coldvoxctl transcribe --local` does; the report names the provider in use. Raises ColdvoxError."""
    return open_in_process(settings, lambda _: None)


@contextmanager
def as_file(wave: Wave) -> Iterator[int]:
    """Yield a descriptor of a memory file with float32 (n,) as WAV at 16 kHz, without any loss."""
    content = wave.astype("<f4").tobytes()
    fmt = struct.pack("<HHIIHH", 3, 1, SAMPLE_RATE, SAMPLE_RATE * 4, 4, 32)
    descriptor = os.memfd_create("clip", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(wav_head(fmt, len(content)) + content)
        yield descriptor
    finally:
        os.close(descriptor)
