"""Reports the results of the command transcribe, in the chosen format and place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coldvoxd.cli.exit_codes import Exit, OutputFault, error_name
from coldvoxd.cli.folders import Listed
from coldvoxd.cli.output import Output, StatusLine, json_line
from coldvoxd.cli.recordings import complaint, shown, with_command
from coldvoxd.cli.transcript_files import NameTooLong, OutputExists, write
from coldvoxd.core.errors import ColdvoxError, FileFault
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.core.values import Word
from coldvoxd.files import subtitles

if TYPE_CHECKING:
    from coldvoxd.media.decoder import Track


@dataclass(frozen=True, slots=True)
class Form:
    """How results are written."""

    name: str
    """text, json, srt or vtt."""
    is_single: bool
    """Whether there is only one recording, whose text needs no name."""
    force: bool
    folder: str | None = None
    """The folder for the files, whose finished ones are kept; None if there is no folder."""

    @property
    def needs_words(self) -> bool:
        """Whether the times of words are needed."""
        return self.name != "text"


class Results:
    """Writes the results of recordings, and the errors in their place."""

    def __init__(self, output: Output, form: Form) -> None:
        self._output = output
        self.form = form
        self.verdict = Exit.DONE
        self._kept = 0

    def done(self, recording: Listed, target: Path | None, transcript: FileTranscript, track: "Track | None") -> None:
        """Write a transcript. If its file cannot be written, the transcript goes to standard output, so that it is not lost.

        A file that has appeared meanwhile is reported; raises OutputFault for other reasons, such as a full disk.
        """
        fields = _fields(recording.name, transcript, track)
        for warning in transcript.warnings:
            self._output.warning(f"{shown(recording.name)}: {with_command(recording.name, warning)}")
        if target is None:
            self._output.result(fields, self._text(recording.name, transcript))
            return
        try:
            write(target, self._content(transcript, fields), force=self.form.force)
        except (OutputExists, NameTooLong) as error:
            self._output.result(fields, self._text(recording.name, transcript))
            self.failed(recording, error)
            return
        except OutputFault:
            self._output.result(fields, self._text(recording.name, transcript))
            raise
        self._output.note(f"{shown(recording.name)}: written to {target}")
        if self._output.as_json:
            self._output.result({"file": recording.name, "output": str(target)})

    def failed(self, recording: Listed, error: ColdvoxError) -> None:
        """Report an error in place of the text.

        FileFault is an error of this process, which has the name; the daemon knows no name, and says "The file".
        """
        self.verdict = Exit.FAILED
        message = (
            with_command(recording.name, str(error))
            if isinstance(error, FileFault)
            else complaint(recording.name, str(error))
        )
        if self._output.as_json:
            self._output.result({"file": recording.name, "error": error_name(error), "message": message})
        else:
            self._output.error(ColdvoxError(message))

    def skipped(self, recording: Listed) -> None:
        """Report a file in a folder that is no recording."""
        self._output.remark(
            {"file": recording.name, "skipped": "not a recording"}, f"{recording.name}: skipped, it is not a recording"
        )

    def kept(self, recording: Listed, target: Path) -> None:
        """Count a recording whose transcript is in the folder already."""
        self._kept += 1
        if self._output.as_json:
            self._output.remark({"file": recording.name, "skipped": "exists", "output": str(target)}, "")

    def finish(self) -> Exit:
        """Report how many recordings were left out because they have transcripts; return the exit code."""
        if self._kept:
            subject = "1 recording was" if self._kept == 1 else f"{self._kept} recordings were"
            self._output.warning(
                f"{subject} not transcribed, because the text is in {self.form.folder} already: add --force to replace it."
            )
        return self.verdict

    def _text(self, name: str, transcript: FileTranscript) -> str:
        match self.form.name:
            case "srt":
                return subtitles.srt(transcript.words, transcript.duration_s).removesuffix("\n")
            case "vtt":
                return subtitles.vtt(transcript.words, transcript.duration_s).removesuffix("\n")
        return transcript.text if self.form.is_single else f"{self._output.name(name)}: {transcript.text}"

    def _content(self, transcript: FileTranscript, fields: Mapping[str, Any]) -> str:
        match self.form.name:
            case "srt":
                return subtitles.srt(transcript.words, transcript.duration_s)
            case "vtt":
                return subtitles.vtt(transcript.words, transcript.duration_s)
            case "json":
                return f"{json_line(fields)}\n"
        return f"{transcript.text}\n"


class Progress:
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


def _fields(name: str, transcript: FileTranscript, track: "Track | None") -> dict[str, Any]:
    fields: dict[str, Any] = {
        "file": name,
        "text": transcript.text,
        "words": [_word(word) for word in transcript.words],
        "duration": round(transcript.duration_s, 3),
        "confidence": round(transcript.confidence, 4),
        "warnings": list(transcript.warnings),
    }
    if track is not None:
        fields["track"] = {
            "number": track.number,
            "count": track.count,
            "codec": track.codec,
            "language": track.language,
        }
    return fields


def _word(word: Word) -> dict[str, str | float]:
    return {
        "word": word.text,
        "start": round(word.start_s, 3),
        "end": round(word.end_s, 3),
        "confidence": round(word.confidence, 4),
    }
