"""The command transcribe."""

import asyncio
import contextlib
import math
import signal
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.cli.exit_codes import Exit, UsageFault, error_name
from coldvoxd.cli.output import Output, StatusLine
from coldvoxd.cli.recordings import complaint, opened_recording, shown
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import (
    AlreadyActive,
    ColdvoxError,
    DaemonUnreachable,
    FileFault,
    InvalidOption,
    NotActive,
    ProviderUnavailable,
    Stopped,
)

if TYPE_CHECKING:
    from coldvoxd.core.file_values import FileTranscript
    from coldvoxd.core.ports import Recognizer, SpeechDetector
    from coldvoxd.core.seams import SeamRules
    from coldvoxd.core.values import Word
    from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer

_ASK_AGAIN_S = 1.0
"""Seconds before the daemon is asked again if it has its maximum number of files."""


def transcribe(arguments: Namespace, output: Output) -> Exit:
    """Transcribe each file in the given order; errors are reported in place of the text. Raises ColdvoxError."""
    output.require_stdout()
    if arguments.local:
        return _locally(arguments, output)
    if arguments.model or arguments.precision:
        raise UsageFault("--model and --precision require --local; the daemon's are in its settings.")
    return asyncio.run(_through_the_daemon(arguments.files, arguments.channel, output))


async def _through_the_daemon(files: list[str], channel: str, output: Output) -> Exit:
    verdict = Exit.DONE
    interrupted = asyncio.Event()
    async with DaemonClient.connected() as daemon:

        def interrupt() -> None:
            interrupted.set()
            daemon.interrupt()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, interrupt)
        await daemon.subscribe(sessions=False)
        for file in files:
            progress = _Progress(shown(file))
            try:
                event = await _outcome(daemon, file, output, progress, interrupted, channel=channel)
            except (FileFault, InvalidOption) as error:
                verdict = Exit.FAILED
                progress.clear()
                _fault(file, error, output)
                continue
            except Stopped:
                return Exit.INTERRUPTED
            progress.clear()
            if event.name == "interrupted":
                return Exit.INTERRUPTED
            if event.fault is not None:
                verdict = Exit.FAILED
                _fault(file, event.fault, output)
                continue
            words = [
                {
                    key: value if key == "word" else round(value, 4 if key == "confidence" else 3)
                    for key, value in word.items()
                }
                for word in event.fields.get("words", [])
            ]
            fields = {
                "file": file,
                "text": event.fields["text"],
                "words": words,
                "duration": round(event.fields["duration"], 3),
                "confidence": round(event.fields["confidence"], 4),
                "warnings": event.fields.get("warnings", []),
            }
            _result(fields, output, is_single=len(files) == 1)
    return verdict


async def _outcome(
    daemon: DaemonClient,
    file: str,
    output: Output,
    progress: "_Progress",
    interrupted: asyncio.Event,
    *,
    channel: str,
) -> Event:
    """The event that ends the file's job, or `interrupted`, which cancels it. Raises Stopped if no job was started."""
    with contextlib.ExitStack() as stack:
        # On a thread, because a pipe may be slow; `interrupted` ends it soon.
        descriptor = await asyncio.to_thread(
            lambda: stack.enter_context(opened_recording(file, is_stopped=interrupted.is_set))
        )
        job = await _begun(daemon, descriptor, file, output, interrupted, channel=channel)
    while True:
        event = await daemon.next_event()
        match event.name:
            case "file-progress" if event.fields["job"] == job:
                progress(event.fields["share"])
            case "file-transcribed" if event.fields["job"] == job:
                return event
            case "interrupted":
                with contextlib.suppress(NotActive):  # the job has just ended
                    await daemon.cancel_file(job)
                return event
            case "daemon-disconnected":
                raise DaemonUnreachable(
                    "coldvoxd has exited, and the transcription has ended: see `journalctl --user -u coldvoxd`."
                )


async def _begun(
    daemon: DaemonClient, descriptor: int, file: str, output: Output, interrupted: asyncio.Event, *, channel: str
) -> int:
    """The job, once the daemon accepts one more. Raises Stopped."""
    is_noted = False
    while True:
        daemon.forget_events()  # the daemon may have been restarted while a pipe was read
        if interrupted.is_set():
            raise Stopped("interrupted")
        try:
            return await daemon.transcribe_file(descriptor, words=output.as_json, channel=channel)
        except AlreadyActive:
            if not is_noted:
                output.note(f"{shown(file)}: queued, because the daemon already has its maximum number of files")
                is_noted = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(interrupted.wait(), _ASK_AGAIN_S)


def _locally(arguments: Namespace, output: Output) -> Exit:
    from coldvoxd.vad.silero import SileroDetector

    recognizer = _open_recognizer(arguments, output)
    detector = SileroDetector()
    channel = Channel(arguments.channel)
    seam_rules = _seam_rules(arguments)
    verdict = Exit.DONE
    try:
        for file in arguments.files:
            progress = _Progress(shown(file))
            try:
                with opened_recording(file) as descriptor:
                    transcript = _transcribed(
                        descriptor, recognizer, detector, progress, channel=channel, seam_rules=seam_rules
                    )
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
                "warnings": list(transcript.warnings),
            }
            _result(fields, output, is_single=len(arguments.files) == 1)
    finally:
        recognizer.close()
    return verdict


def _transcribed(
    descriptor: int,
    recognizer: "Recognizer",
    detector: "SpeechDetector",
    progress: "_Progress",
    *,
    channel: Channel,
    seam_rules: "SeamRules",
) -> "FileTranscript":
    """The transcript of an open file. Raises the errors that the daemon returns for it."""
    from coldvoxd.files.jobs import open_audio
    from coldvoxd.files.transcription import transcribe_file

    open_audio(descriptor, channel, max_hours=math.inf)
    try:
        return transcribe_file(descriptor, recognizer, detector, progress, channel=channel, seam_rules=seam_rules)
    except ColdvoxError as error:
        raise _as_from_the_daemon(error) from error


def _open_recognizer(arguments: Namespace, output: Output) -> "ParakeetRecognizer":
    from coldvoxd import settings_file
    from coldvoxd.core.values import Precision
    from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
    from coldvoxd.models import find_model
    from coldvoxd.native.providers import AUTO, CPU, likely_accelerator

    model = settings_file.load().model
    files = find_model(arguments.model or model.name, Precision.on_cpu(arguments.precision or model.precision))
    if model.provider != AUTO:
        return ParakeetRecognizer.open(files, model.provider, model.threads)
    try:
        return ParakeetRecognizer.open(files, likely_accelerator() or CPU, model.threads)
    except ProviderUnavailable as fault:
        output.warning(f"using the CPU: {fault}")
        return ParakeetRecognizer.open(files, CPU, model.threads)


def _seam_rules(arguments: Namespace) -> "SeamRules":
    from coldvoxd import settings_file
    from coldvoxd.core.seams import SeamRules
    from coldvoxd.models.seam_method import seam_method_of

    settings = settings_file.load()
    dictation = settings.dictation
    return SeamRules.of(dictation.seam, seam_method_of(arguments.model or settings.model.name), dictation.seam_s)


def _result(fields: Mapping[str, Any], output: Output, *, is_single: bool) -> None:
    for warning in fields["warnings"]:
        output.warning(f"{shown(fields['file'])}: {warning}")
    output.result(fields, fields["text"] if is_single else f"{output.name(fields['file'])}: {fields['text']}")


def _fault(file: str, error: ColdvoxError, output: Output) -> None:
    """Report the error of a file in place of its text.

    FileFault is an error of this process, which has the name; the daemon knows no name, and says "The file".
    """
    message = str(error) if isinstance(error, FileFault) else complaint(file, str(error))
    if output.as_json:
        output.result({"file": file, "error": error_name(error), "message": message})
    else:
        output.error(ColdvoxError(message))


def _as_from_the_daemon(error: ColdvoxError) -> ColdvoxError:
    """The error with the name that it has on the bus."""
    return ColdvoxError(str(error)) if error.dbus_name == ColdvoxError.dbus_name else error


def _word(word: "Word") -> dict[str, str | float]:
    return {
        "word": word.text,
        "start": round(word.start_s, 3),
        "end": round(word.end_s, 3),
        "confidence": round(word.confidence, 4),
    }


class _Progress:
    """`talk.ogg 42 %` on stderr; only if it is a terminal."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._line = StatusLine()

    def __call__(self, fraction: float) -> None:
        """Show that this `fraction` of the file is done, 0 to 1."""
        self._line.show(self._file, f" {int(100 * fraction)} %")

    def clear(self) -> None:
        """Clear the line."""
        self._line.clear()
