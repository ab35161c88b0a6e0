"""The command transcribe with --local: recognition in this process."""

import math
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from coldvoxd import settings_file
from coldvoxd.cli.output import Output
from coldvoxd.cli.recordings import shown
from coldvoxd.cli.results import Progress
from coldvoxd.cli.sources import NotARecording, Source, opened_source
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import ColdvoxError, ProviderUnavailable
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.jobs import open_audio
from coldvoxd.files.joining import Joining
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.models import find_model
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.native.providers import AUTO, CPU, likely_accelerator
from coldvoxd.vad.silero import SileroDetector

if TYPE_CHECKING:
    from coldvoxd.cli.transcribe import Task


def transcribe_locally(arguments: Namespace, task: "Task", output: Output) -> None:
    """Transcribe recordings, and report the results. Raises ColdvoxError if no model can be opened."""
    recognizer = _open_recognizer(arguments, output)
    transcribe = partial(
        _transcribed,
        recognizer=recognizer,
        detector=SileroDetector(),
        channel=task.channel,
        seam_rules=_seam_rules(arguments),
    )
    try:
        for recording, target in task.ready():
            progress = Progress(shown(recording.name))
            try:
                with opened_source(recording, task.channel) as source:
                    transcript = _transcript(source, transcribe, progress)
                progress.clear()
                task.results.done(recording, target, transcript, source.track)
            except NotARecording:
                task.results.skipped(recording)
            except ColdvoxError as error:
                progress.clear()
                task.results.failed(recording, error)
    finally:
        recognizer.close()


def _transcript(source: Source, transcribe: Callable[..., FileTranscript], progress: Progress) -> FileTranscript:
    joining = Joining()
    for piece in source.pieces():

        def show(share: float) -> None:
            progress(source.share(piece, share))  # noqa: B023 - called within the iteration

        transcript = transcribe(piece.descriptor, show)
        if not source.is_decoded:
            return transcript
        joining.add(transcript, piece.start_s, piece.end_s)
    for warning in source.warnings:
        joining.warn(warning)
    return joining.result()


def _transcribed(
    descriptor: int,
    progress: Callable[[float], None],
    *,
    recognizer: Recognizer,
    detector: SpeechDetector,
    channel: Channel,
    seam_rules: SeamRules,
) -> FileTranscript:
    """The transcript of an open file. Raises the errors that the daemon returns for it."""
    open_audio(descriptor, channel, max_hours=math.inf)
    try:
        return transcribe_file(descriptor, recognizer, detector, progress, channel=channel, seam_rules=seam_rules)
    except ColdvoxError as error:
        raise _as_from_the_daemon(error) from error


def _seam_rules(arguments: Namespace) -> SeamRules:
    settings = settings_file.load()
    dictation = settings.dictation
    return SeamRules.of(dictation.seam, seam_method_of(arguments.model or settings.model.name), dictation.seam_s)


def _open_recognizer(arguments: Namespace, output: Output) -> ParakeetRecognizer:

    model = settings_file.load().model
    files = find_model(arguments.model or model.name, Precision.on_cpu(arguments.precision or model.precision))
    if model.provider != AUTO:
        return ParakeetRecognizer.open(files, model.provider, model.threads)
    try:
        return ParakeetRecognizer.open(files, likely_accelerator() or CPU, model.threads)
    except ProviderUnavailable as fault:
        output.warning(f"using the CPU: {fault}")
        return ParakeetRecognizer.open(files, CPU, model.threads)


def _as_from_the_daemon(error: ColdvoxError) -> ColdvoxError:
    """The error with the name that it has on the bus."""
    return ColdvoxError(str(error)) if error.dbus_name == ColdvoxError.dbus_name else error
