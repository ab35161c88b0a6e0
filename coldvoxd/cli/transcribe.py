"""The command transcribe."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.cli.exits import Exit, error_name
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ColdvoxError, NotSupported, ProviderUnavailable

if TYPE_CHECKING:
    from coldvoxd.asr.parakeet import ParakeetRecognizer
    from coldvoxd.core.values import Word


def transcribe(arguments: Namespace, output: Output) -> Exit:
    """Recognize each file in the order given; the faulty ones are told in their place. Raises ColdvoxError."""
    if not arguments.local:
        raise NotSupported(
            "The daemon can't transcribe files yet in this version: use `coldvoxctl transcribe --local FILE...`."
        )
    from coldvoxd.transcription import transcribe_file
    from coldvoxd.vad.silero import SileroDetector

    recognizer = _open_recognizer(arguments)
    detector = SileroDetector()
    verdict = Exit.DONE
    try:
        for file in arguments.files:
            progress = _Progress(file)
            try:
                transcript = transcribe_file(Path(file), recognizer, detector, progress)
            except ColdvoxError as error:
                verdict = Exit.FAILED
                progress.clear()
                _fault(file, error, output)
                continue
            progress.clear()
            fields = {
                "file": file,
                "text": transcript.text,
                "words": [_word(word) for word in transcript.words],
                "duration": round(transcript.duration_s, 3),
                "confidence": round(transcript.confidence, 4),
            }
            output.result(fields, transcript.text if len(arguments.files) == 1 else f"{file}: {transcript.text}")
    finally:
        recognizer.close()
    return verdict


def _open_recognizer(arguments: Namespace) -> "ParakeetRecognizer":
    from coldvoxd import settings
    from coldvoxd.asr.parakeet import ParakeetRecognizer
    from coldvoxd.core.values import Precision
    from coldvoxd.models import find_model
    from coldvoxd.ort import AUTO, CPU, likely_accelerator

    model = settings.load().model
    files = find_model(arguments.model or model.name, Precision(arguments.precision or model.precision))
    if model.provider != AUTO:
        return ParakeetRecognizer.open(files, model.provider, model.threads)
    try:
        return ParakeetRecognizer.open(files, likely_accelerator() or CPU, model.threads)
    except ProviderUnavailable as fault:
        print(f"coldvoxctl: on the CPU, since {fault}", file=sys.stderr)
        return ParakeetRecognizer.open(files, CPU, model.threads)


def _fault(file: str, error: ColdvoxError, output: Output) -> None:
    if output.as_json:
        output.result({"file": file, "error": error_name(error), "message": str(error)})
    else:
        output.error(error)


def _word(word: "Word") -> dict[str, str | float]:
    return {
        "word": word.text,
        "start": round(word.start_s, 3),
        "end": round(word.end_s, 3),
        "confidence": round(word.confidence, 4),
    }


class _Progress:
    """`talk.ogg 42 %` on stderr, on one line that is overwritten; only where stderr is a terminal."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._shown = -1
        self._wanted = sys.stderr.isatty()

    def __call__(self, fraction: float) -> None:
        """`fraction` of the file is done, 0..1."""
        percent = int(100 * fraction)
        if self._wanted and percent > self._shown:
            self._shown = percent
            print(f"\r{self._file} {percent} %", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._wanted and self._shown >= 0:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
