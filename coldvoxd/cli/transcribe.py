"""The command transcribe."""

import asyncio
import contextlib
import signal
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_events import Event
from coldvoxd.cli.exit_codes import Exit, OutputFault, UsageFault
from coldvoxd.cli.folders import Listed, listed
from coldvoxd.cli.output import Output
from coldvoxd.cli.recordings import shown
from coldvoxd.cli.results import Form, Progress, Results
from coldvoxd.cli.transcript_files import NameTooLong, OutputExists, check, format_of, is_folder, protected, targets
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import (
    AlreadyActive,
    ColdvoxError,
    DaemonUnreachable,
    FileFault,
    InvalidOption,
    NotActive,
    Stopped,
)
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.values import Word
from coldvoxd.files.joining import Joining

if TYPE_CHECKING:
    from coldvoxd.cli.sources import Source
    from coldvoxd.media.pieces import Piece

_ASK_AGAIN_S = 1.0
"""Seconds before the daemon is asked again if it has its maximum number of files."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be transcribed, and where to."""

    recordings: tuple[tuple[Listed, Path | None], ...]
    """Each with its file; None for standard output."""
    channel: Channel
    language: str
    """`auto` or a language's code; empty leaves it to the settings."""
    results: Results

    def ready(self) -> Iterator[tuple[Listed, Path | None]]:
        """Yield the recordings that can be transcribed; report the others in their place."""
        form, inputs = self.results.form, protected(recording for recording, _ in self.recordings)
        for recording, target in self.recordings:
            try:
                if recording.fault is not None:
                    raise recording.fault
                if target is not None:
                    check(target, force=form.force, inputs=inputs)
            except (FileFault, OutputExists, NameTooLong, OutputFault) as error:
                if isinstance(error, OutputExists) and form.folder is not None and target is not None:
                    self.results.kept(recording, target)
                else:
                    self.results.failed(recording, error)
                continue
            yield recording, target


def transcribe(arguments: Namespace, output: Output) -> Exit:
    """Transcribe each file in the given order; errors are reported in place of the text. Raises ColdvoxError."""
    form = format_of(arguments.format, arguments.output, as_json=output.as_json)
    output.as_json = form == "json"
    recordings = listed(arguments.files, recursive=arguments.recursive)
    places = targets(recordings, arguments.output, form)
    output.require_stdout()
    is_single = len(recordings) == 1 and recordings[0].inside is None
    folder = arguments.output if arguments.output and is_folder(arguments.output) else None
    results = Results(output, Form(form, is_single, arguments.force, folder))
    task = Task(
        tuple(zip(recordings, places, strict=True)), Channel(arguments.channel), arguments.language or "", results
    )
    if arguments.local:
        from coldvoxd.cli.local_transcription import transcribe_locally

        transcribe_locally(arguments, task, output)
        return results.finish()
    if arguments.model or arguments.precision:
        raise UsageFault("--model and --precision require --local; the daemon's are in its settings.")
    return asyncio.run(_through_the_daemon(task, output))


async def _through_the_daemon(task: Task, output: Output) -> Exit:
    interrupted = asyncio.Event()
    async with DaemonClient.connected() as daemon:

        def interrupt() -> None:
            interrupted.set()
            daemon.interrupt()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, interrupt)
        await daemon.subscribe(sessions=False)
        jobs = _Jobs(daemon, task, output, interrupted)
        for recording, target in task.ready():
            progress = Progress(shown(recording.name))
            try:
                await jobs.transcribe(recording, target, progress)
            except Stopped:
                progress.clear()
                return Exit.INTERRUPTED
    return task.results.finish()


class _Jobs:
    """Has the daemon transcribe recordings, one after another."""

    def __init__(self, daemon: DaemonClient, task: Task, output: Output, interrupted: asyncio.Event) -> None:
        self._daemon = daemon
        self._task = task
        self._output = output
        self._interrupted = interrupted

    async def transcribe(self, recording: Listed, target: Path | None, progress: Progress) -> None:
        """Transcribe a recording and report the result. Raises Stopped, or an error that ends the command."""
        from coldvoxd.cli.sources import NotARecording, opened_source

        is_stopped = self._interrupted.is_set
        try:
            with contextlib.ExitStack() as stack:
                # On a thread, because a pipe may be slow; `interrupted` ends it soon.
                source = await asyncio.to_thread(
                    lambda: stack.enter_context(opened_source(recording, self._task.channel, is_stopped))
                )
                transcript = await self._transcript(recording, source, progress)
        except NotARecording:
            self._task.results.skipped(recording)
        except (FileFault, InvalidOption, _JobFault) as error:
            progress.clear()
            self._task.results.failed(recording, error.fault if isinstance(error, _JobFault) else error)
        else:
            progress.clear()
            self._task.results.done(recording, target, transcript, source.track)

    async def _transcript(self, recording: Listed, source: "Source", progress: Progress) -> FileTranscript:
        joining = Joining()
        pieces = source.pieces()
        try:
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                words = self._task.results.form.needs_words or source.is_decoded
                event = await self._outcome(recording, piece, source, progress, words=words)
                transcript = _transcript_of(event)
                if not source.is_decoded:
                    return transcript
                joining.add(transcript, piece.start_s, piece.end_s)
        finally:
            await asyncio.to_thread(pieces.close)
        for warning in source.warnings:
            joining.warn(warning)
        return joining.result()

    async def _outcome(
        self, recording: Listed, piece: "Piece", source: "Source", progress: Progress, *, words: bool
    ) -> Event:
        """The event that ends the job of a piece. Raises _JobFault; Stopped after an interrupt, which cancels it."""
        job = await self._begun(recording, piece.descriptor, words=words)
        while True:
            event = await self._daemon.next_event()
            match event.name:
                case "file-progress" if event.fields["job"] == job:
                    progress(source.share(piece, event.fields["share"]))
                case "file-transcribed" if event.fields["job"] == job:
                    if event.fault is not None:
                        raise _JobFault(event.fault)
                    return event
                case "interrupted":
                    with contextlib.suppress(NotActive):  # the job has just ended
                        await self._daemon.cancel_file(job)
                    raise Stopped("interrupted")
                case "daemon-disconnected":
                    raise DaemonUnreachable(
                        "coldvoxd has exited, and the transcription has ended: see `journalctl --user -u coldvoxd`."
                    )

    async def _begun(self, recording: Listed, descriptor: int, *, words: bool) -> int:
        """The job, once the daemon accepts one more. Raises Stopped."""
        is_noted = False
        while True:
            self._daemon.forget_events()  # the daemon may have been restarted while a pipe was read
            if self._interrupted.is_set():
                raise Stopped("interrupted")
            try:
                return await self._daemon.transcribe_file(
                    descriptor, words=words, channel=self._task.channel.text, language=self._task.language
                )
            except AlreadyActive:
                if not is_noted:
                    name = shown(recording.name)
                    self._output.note(f"{name}: queued, because the daemon already has its maximum number of files")
                    is_noted = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ASK_AGAIN_S):
                        await self._interrupted.wait()


class _JobFault(ColdvoxError):
    """A recording's job failed, which does not end the command."""

    def __init__(self, fault: ColdvoxError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _transcript_of(event: Event) -> FileTranscript:
    fields = event.fields
    words = tuple(
        Word(word["word"], word["start"], word["end"], word["confidence"]) for word in fields.get("words", [])
    )
    return FileTranscript(
        fields["text"], words, fields["duration"], fields["confidence"], tuple(fields.get("warnings", []))
    )
