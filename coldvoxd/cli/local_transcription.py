"""The command transcribe with --local: recognition in this process."""

import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from coldvoxd import settings_file
from coldvoxd.cli.output import Output
from coldvoxd.cli.recordings import shown
from coldvoxd.cli.results import Progress
from coldvoxd.cli.sources import NotARecording, Source, opened_source
from coldvoxd.core import languages
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.ports import Recognizer, SpeechDetector
from coldvoxd.core.seams import SeamRules
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.jobs import open_audio
from coldvoxd.files.joining import Joining
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.media.pieces import Piece
from coldvoxd.models.catalog import max_utterance_s
from coldvoxd.models.directories import shortened
from coldvoxd.models.seam_method import seam_method_of
from coldvoxd.recognition.in_process import open_in_process
from coldvoxd.vad.silero import SileroDetector

if TYPE_CHECKING:
    from coldvoxd.cli.transcribe import Task


@dataclass(frozen=True, slots=True)
class _Engine:
    """What transcribes files in this process."""

    recognizer: Recognizer
    detector: SpeechDetector
    channel: Channel
    longest_s: float
    """Maximum length in seconds of audio that is recognized at once."""
    seam_rules: SeamRules
    language: str
    batch_size: int

    def transcript(self, source: Source, progress: Progress) -> FileTranscript:
        """Transcribe a recording. Raises ColdvoxError."""
        joining = Joining()
        for piece in source.pieces():
            transcript = self._of_file(piece.descriptor, partial(_show, progress, source, piece))
            if not source.is_decoded:
                return transcript
            joining.add(transcript, piece.start_s, piece.end_s)
        for warning in source.warnings:
            joining.warn(warning)
        return joining.result()

    def _of_file(self, descriptor: int, progress: Callable[[float], None]) -> FileTranscript:
        """The transcript of an open file. Raises the errors that the daemon returns for it."""
        open_audio(descriptor, self.channel, max_hours=math.inf)
        try:
            return transcribe_file(
                descriptor,
                self.recognizer,
                self.detector,
                progress,
                channel=self.channel,
                seam_rules=self.seam_rules,
                longest_s=self.longest_s,
                language=self.language,
                batch_size=self.batch_size,
            )
        except ColdvoxError as error:
            raise _as_from_the_daemon(error) from error


def transcribe_locally(arguments: Namespace, task: "Task", output: Output) -> None:
    """Transcribe recordings, and report the results.

    Raises ColdvoxError if no model can be opened, or if it lacks the language that the arguments name.
    """
    settings = settings_file.load()
    model, dictation = settings.model, settings.dictation
    name, precision = arguments.model or model.name, Precision.on_cpu(arguments.precision or model.precision)
    recognizer = open_in_process(
        replace(model, name=name, precision=precision), lambda fault: output.warning(f"using the CPU: {fault}")
    )
    seam_rules = SeamRules.of(dictation.seam, seam_method_of(name), dictation.seam_s)
    try:
        language = _language(task.language, dictation.language, shortened(name), recognizer, output)
        longest_s = max_utterance_s(name, precision)
        engine = _Engine(
            recognizer, SileroDetector(), task.channel, longest_s, seam_rules, language, settings.files.batch_size
        )
        for recording, target in task.ready():
            progress = Progress(shown(recording.name))
            try:
                with opened_source(recording, task.channel) as source:
                    transcript = engine.transcript(source, progress)
            except NotARecording:
                task.results.skipped(recording)
            except ColdvoxError as error:
                progress.clear()
                task.results.failed(recording, error)
            else:
                progress.clear()
                task.results.done(recording, target, transcript, source.track)
    finally:
        recognizer.close()


def _language(requested: str, setting: str, model: str, recognizer: ParakeetRecognizer, output: Output) -> str:
    """Return the language of the recordings. Raises NotSupported for a requested one that the model lacks."""
    status = EngineStatus(model=model, ready=True, languages=recognizer.languages)
    languages.check(requested, status)
    if not requested and languages.is_ignored(setting, status):
        output.warning(languages.ignored(model, setting))
    return languages.in_force(requested, setting, status)


def _show(progress: Progress, source: Source, piece: Piece, share: float) -> None:
    progress(source.share(piece, share))


def _as_from_the_daemon(error: ColdvoxError) -> ColdvoxError:
    """The error with the name that it has on the bus."""
    return ColdvoxError(str(error)) if error.dbus_name == ColdvoxError.dbus_name else error
