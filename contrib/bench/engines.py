"""The recognizers under comparison, behind one interface; each runs in its own process (worker.py)."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

Wave = npt.NDArray[np.float32]
Opening = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Heard:
    text: str
    decoder_s: float | None = None
    """Seconds of the total time spent in the decoder; None if the engine doesn't report it."""


class Engine(Protocol):
    def open(self) -> None:
        """Load the model and prepare it for speech."""

    def recognize(self, wave: Wave) -> Heard:
        """Recognize float32 (n,), 16 kHz."""

    def transcribe(self, file: Path) -> Heard:
        """Transcribe a recording of any length, by the engine's own method for long ones."""

    def close(self) -> None:
        """Release the model."""


class Ours:
    """coldvoxd's recognizer as the daemon opens it on the CPU: from its prepared form, if there is one.

    With as many threads as there are cores, each part uses the number that was fastest at preparation, as in the
    daemon.
    """

    packed, prepared = True, True

    def __init__(self, model: Path, precision: str, threads: int) -> None:
        from coldvoxd.core.values import Precision
        from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
        from coldvoxd.files.transcription import transcribe_file
        from coldvoxd.models.directories import find_model
        from coldvoxd.models.prepared_store import find_form
        from coldvoxd.native.processor import physical_cores
        from coldvoxd.vad.silero import SileroDetector

        own = 0 if threads == physical_cores() else threads

        def opened() -> ParakeetRecognizer:
            files = find_model(str(model), Precision(precision))
            form = find_form(files) if self.prepared else None
            return ParakeetRecognizer.open(files, threads=own, packed=self.packed, prepared=form)

        self._open: Opening = opened
        self._transcribe: Callable[[Path], Any] = lambda file: transcribe_file(file, self._recognizer, SileroDetector())
        self._recognizer: Any = None

    def open(self) -> None:
        self._recognizer = self._open()

    def recognize(self, wave: Wave) -> Heard:
        hypothesis = self._recognizer.recognize_samples(wave)
        return Heard(hypothesis.text, hypothesis.stages.decoder_s if hypothesis.stages else None)

    def transcribe(self, file: Path) -> Heard:
        return Heard(self._transcribe(file).text)

    def close(self) -> None:
        self._recognizer.close()


class OursMapped(Ours):
    """The form that serves first: nothing is packed, and recognition is slower."""

    packed = False


class OursPlain(Ours):
    """The recognizer opened from the published files, even if a prepared form exists."""

    prepared = False


class OnnxAsr:
    """The reference, with its own default options except the number of threads."""

    def __init__(self, model: Path, precision: str, threads: int) -> None:
        import onnx_asr
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._open: Opening = lambda: onnx_asr.load_model(
            "nemo-conformer-tdt",
            path=model,
            quantization=None if precision == "fp32" else precision,
            sess_options=options,
            providers=["CPUExecutionProvider"],
        )
        self._model: Any = None
        self._decoder_s = 0.0

    def open(self) -> None:
        self._model = self._open()
        self._model.asr._decoding = self._timed(self._model.asr._decoding)  # noqa: SLF001 - it has no public timing

    def recognize(self, wave: Wave) -> Heard:
        self._decoder_s = 0.0
        text = self._model.recognize(wave)
        return Heard(text, self._decoder_s)

    def transcribe(self, file: Path) -> Heard:
        wave, _ = soundfile.read(file, dtype="float32")
        return self.recognize(wave)

    def close(self) -> None:
        self._model = None

    def _timed(self, decoding: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            started_s = time.perf_counter()
            results = list(decoding(*arguments, **options))
            self._decoder_s += time.perf_counter() - started_s
            return iter(results)

        return timed


class SherpaOnnx:
    """sherpa-onnx; `model` is a directory in its own layout (sherpa_layout.py)."""

    def __init__(self, model: Path, precision: str, threads: int) -> None:
        import sherpa_onnx

        suffix = "" if precision == "fp32" else f".{precision}"
        files = {part: str(model / f"{part}{suffix}.onnx") for part in ("encoder", "decoder", "joiner")}
        self._open: Opening = lambda: sherpa_onnx.OfflineRecognizer.from_transducer(
            **files,
            tokens=str(model / "tokens.txt"),
            num_threads=threads,
            feature_dim=128,
            model_type="nemo_transducer",
        )
        self._recognizer: Any = None

    def open(self) -> None:
        self._recognizer = self._open()

    def recognize(self, wave: Wave) -> Heard:
        stream = self._recognizer.create_stream()
        stream.accept_waveform(16_000, wave)
        self._recognizer.decode_stream(stream)
        return Heard(stream.result.text.strip())

    def transcribe(self, file: Path) -> Heard:
        wave, _ = soundfile.read(file, dtype="float32")
        return self.recognize(wave)

    def close(self) -> None:
        self._recognizer = None


OURS, MAPPED, PLAIN = "coldvoxd", "coldvoxd-mapped", "coldvoxd-plain"
ONNX_ASR, SHERPA_ONNX = "onnx-asr", "sherpa-onnx"
ENGINES: dict[str, Callable[[Path, str, int], Engine]] = {
    OURS: Ours,
    MAPPED: OursMapped,
    PLAIN: OursPlain,
    ONNX_ASR: OnnxAsr,
    SHERPA_ONNX: SherpaOnnx,
}
