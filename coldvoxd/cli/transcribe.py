"""The command transcribe."""

import asyncio
import contextlib
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.cli.exits import Exit, UsageFault, error_name
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import (
    ColdvoxError,
    DaemonUnreachable,
    FileFault,
    InvalidOption,
    NotActive,
    ProviderUnavailable,
)

if TYPE_CHECKING:
    from coldvoxd.asr.parakeet import ParakeetRecognizer
    from coldvoxd.core.values import Word


def transcribe(arguments: Namespace, output: Output) -> Exit:
    """Recognize each file in the order given; the faulty ones are told in their place. Raises ColdvoxError."""
    if arguments.local:
        return _locally(arguments, output)
    if arguments.model or arguments.precision:
        raise UsageFault("--model and --precision are for --local; the daemon's are in its settings.")
    return asyncio.run(_through_the_daemon(arguments.files, output))


async def _through_the_daemon(files: list[str], output: Output) -> Exit:
    verdict = Exit.DONE
    async with DaemonClient.connected() as daemon:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, daemon.interrupt)
        await daemon.subscribe(sessions=False)
        for file in files:
            progress = _Progress(file)
            try:
                event = await _outcome(daemon, file, output.as_json, progress)
            except (FileFault, InvalidOption) as error:
                verdict = Exit.FAILED
                progress.clear()
                _fault(file, error, output)
                continue
            progress.clear()
            if event.name == "interrupted":
                return Exit.INTERRUPTED
            if event.fault is not None:
                verdict = Exit.FAILED
                _fault(file, event.fault, output)
                continue
            text, words = event.fields["text"], event.fields.get("words", [])
            fields = {
                "file": file,
                "text": text,
                "words": [
                    {
                        key: value if key == "word" else round(value, 4 if key == "confidence" else 3)
                        for key, value in word.items()
                    }
                    for word in words
                ],
                "duration": round(event.fields["duration"], 3),
                "confidence": round(event.fields["confidence"], 4),
            }
            output.result(fields, text if len(files) == 1 else f"{file}: {text}")
    return verdict


async def _outcome(daemon: DaemonClient, file: str, words: bool, progress: "_Progress") -> Event:
    """The event that ends the file's job, or `interrupted`, which ends it too."""
    try:
        # Not to wait for a writer, where it is a FIFO: the daemon then says that it is one.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileFault(f"there is no file {file}: check its name") from error
    except OSError as error:
        raise FileFault(f"{file} can't be read: {error.strerror or error}") from error
    try:
        job = await daemon.transcribe_file(descriptor, words=words)
    finally:
        os.close(descriptor)
    while True:
        event = await daemon.next_event()
        match event.name:
            case "file-progress" if event.fields["job"] == job:
                progress(event.fields["share"])
            case "file-transcribed" if event.fields["job"] == job:
                return event
            case "interrupted":
                with contextlib.suppress(NotActive):  # it has just ended by itself
                    await daemon.cancel_file(job)
                return event
            case "daemon-gone":
                raise DaemonUnreachable(
                    "coldvoxd has ended, and the file with it: see `journalctl --user -u coldvoxd`."
                )


def _locally(arguments: Namespace, output: Output) -> Exit:
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
    files = find_model(arguments.model or model.name, Precision.on_cpu(arguments.precision or model.precision))
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
    elif file in str(error):
        output.error(error)
    else:
        output.error(ColdvoxError(f"{file}: {error}"))


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
