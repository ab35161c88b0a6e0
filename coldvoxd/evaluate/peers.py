"""Other engines beside coldvoxd: imported only when they are chosen, with local models only.

Each takes the same samples. onnx-asr and faster-whisper cut nothing: a clip is recognized as a whole.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ColdvoxError, ModelInvalid, ModelMissing, ProviderFault
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import SAMPLE_RATE, Precision
from coldvoxd.engines.parakeet.configuration import ParakeetConfiguration
from coldvoxd.evaluate.engines import Engine
from coldvoxd.evaluate.libraries import require
from coldvoxd.evaluate.noise import Wave
from coldvoxd.models import find_model
from coldvoxd.models.directories import shortened
from coldvoxd.native.ort import first_line, onnxruntime
from coldvoxd.native.processor import physical_cores
from coldvoxd.native.providers import AUTO, CPU, full_name

ONNX_ASR, SHERPA_ONNX, FASTER_WHISPER = "onnx-asr", "sherpa-onnx", "faster-whisper"
_OFFLINE = {"HF_HUB_OFFLINE": "1"}
"""huggingface_hub then refuses each request, whatever an engine asks of it."""


class Peer:
    """An engine that is called through one function."""

    def __init__(self, model: str, precision: str, recognize: Callable[[Wave], str]) -> None:
        self.model = model
        self.provider = CPU
        self.precision = precision
        self._recognize: Callable[[Wave], str] | None = recognize

    def transcribe(self, wave: Wave) -> str:
        """Return the text of float32 (n,) at 16 kHz. Blocks. Raises ProviderFault."""
        assert self._recognize is not None  # noqa: S101 - it is not closed
        try:
            return self._recognize(wave).strip()
        except Exception as error:  # of any library; the report has it as a failure of this clip
            raise ProviderFault(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Release the model."""
        self._recognize = None


def _threads(settings: ModelSettings) -> int:
    return settings.threads or physical_cores()


def _onnx_asr(settings: ModelSettings, directory: Path | None) -> Peer:
    """onnx-asr with the same model files, or with those of a directory."""
    library = require("onnx_asr", f"--engine {ONNX_ASR}", ONNX_ASR)
    precision = Precision.on_cpu(settings.precision)
    place = directory or find_model(settings.name, precision).directory
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads(settings)
    provider = CPU if settings.provider == AUTO else settings.provider
    configuration = place / "config.json"
    kind = ParakeetConfiguration.read(configuration if configuration.exists() else None).kind or ModelKind.TDT
    model = library.load_model(
        str(kind),
        path=place,
        quantization=None if precision is Precision.FP32 else str(precision),
        sess_options=options,
        providers=[full_name(provider)],
    )
    peer = Peer(place.name if directory else shortened(settings.name), str(precision), model.recognize)
    peer.provider = provider
    return peer


def _sherpa_onnx(settings: ModelSettings, directory: Path | None) -> Peer:
    """sherpa-onnx with encoder, decoder, joiner and tokens.txt in its own layout."""
    library = require("sherpa_onnx", f"--engine {SHERPA_ONNX}", SHERPA_ONNX)
    place = _named(directory, SHERPA_ONNX, "encoder.onnx, decoder.onnx, joiner.onnx and tokens.txt")
    precision = Precision.on_cpu(settings.precision)
    suffix = "" if precision is Precision.FP32 else f".{precision}"
    files = {part: str(place / f"{part}{suffix}.onnx") for part in ("encoder", "decoder", "joiner")}
    _check_files(place, *(Path(file).name for file in files.values()), "tokens.txt")
    recognizer = library.OfflineRecognizer.from_transducer(
        **files,
        tokens=str(place / "tokens.txt"),
        num_threads=_threads(settings),
        feature_dim=128,
        model_type="nemo_transducer",
    )

    def recognize(wave: Wave) -> str:
        stream = recognizer.create_stream()
        stream.accept_waveform(SAMPLE_RATE, wave)
        recognizer.decode_stream(stream)
        return str(stream.result.text)

    return Peer(place.name, str(precision), recognize)


def _faster_whisper(settings: ModelSettings, directory: Path | None) -> Peer:
    """faster-whisper for English on the CPU, with a model as CTranslate2 files and its default options otherwise."""
    library = require("faster_whisper", f"--engine {FASTER_WHISPER}", FASTER_WHISPER)
    place = _named(directory, FASTER_WHISPER, "model.bin, config.json, tokenizer.json and a vocabulary")
    _check_files(place, "model.bin", "tokenizer.json")
    precision = Precision.on_cpu(settings.precision)
    kind = "int8" if precision is Precision.INT8 else "float32"
    model = library.WhisperModel(
        str(place), device="cpu", compute_type=kind, cpu_threads=_threads(settings), local_files_only=True
    )

    def recognize(wave: Wave) -> str:
        segments, _ = model.transcribe(wave, language="en")
        return " ".join(segment.text.strip() for segment in segments)

    return Peer(place.name, kind, recognize)


PEERS: dict[str, Callable[[ModelSettings, Path | None], Any]] = {
    ONNX_ASR: _onnx_asr,
    SHERPA_ONNX: _sherpa_onnx,
    FASTER_WHISPER: _faster_whisper,
}


def open_peer(name: str, settings: ModelSettings, directory: Path | None) -> Engine:
    """Open another engine. `directory` has its model; None for the same as coldvoxd's. Raises ColdvoxError."""
    os.environ.update(_OFFLINE)  # read when huggingface_hub is imported
    try:
        peer: Engine = PEERS[name](settings, directory)
    except ColdvoxError:
        raise
    except Exception as error:  # of any library
        of = directory or settings.name
        raise ModelInvalid(f"--engine {name} cannot load the model of {of}: {first_line(error)}") from error
    return peer


def _named(directory: Path | None, engine: str, what: str) -> Path:
    if directory is None:
        raise ModelMissing(
            f"{engine} needs a model in its own layout",
            f"Name its directory: --engine {engine}=DIRECTORY, with {what}.",
        )
    return directory


def _check_files(place: Path, *names: str) -> None:
    missing = [name for name in names if not (place / name).is_file()]
    if missing:
        raise ModelMissing(f"{place} has no {', '.join(missing)}", "Name the directory of a complete model.")
