"""What of a recording is recognized: the file itself, or pieces that are decoded here, one at a time in memory."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from coldvoxd.audio.file import AudioFile
from coldvoxd.audio.opening import DescriptorFile
from coldvoxd.audio.streams import Content
from coldvoxd.audio.unread_formats import recording as name_of
from coldvoxd.cli.folders import Listed
from coldvoxd.cli.recordings import Opened, opened_recording, shown
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import FileFault, Stopped
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.files.jobs import MAX_HOURS
from coldvoxd.media import library
from coldvoxd.media.conversion import Samples
from coldvoxd.media.decoder import Media, NoAudio, NotMedia, Track
from coldvoxd.media.pieces import Piece, pieces


class NotARecording(FileFault):
    """A file in a folder that has no audio."""


class Source:
    """A recording that is open. Blocks; one thread at a time."""

    def __init__(self, descriptor: int, media: Media | None, channel: Channel, is_stopped: Callable[[], bool]) -> None:
        """`media` decodes the recording; None if it is recognized as it is."""
        self._descriptor = descriptor
        self._media = media
        self._channel = channel
        self._is_stopped = is_stopped
        self.warnings: list[str] = []
        """About damage, once the pieces have been read."""

    @property
    def is_decoded(self) -> bool:
        """Whether the recording is decoded here, and its pieces' texts must be joined."""
        return self._media is not None

    @property
    def track(self) -> Track | None:
        """The audio track that is decoded; None if the recording is recognized as it is."""
        return None if self._media is None else self._media.track

    def share(self, piece: Piece, share: float) -> float:
        """The share of the recording that is done, if this share of a piece is."""
        if self._media is None:
            return share
        done_s = piece.start_s + share * (piece.end_s - piece.start_s)
        whole_s = piece.end_s if piece.is_last else max(self._media.duration_s or 0.0, piece.end_s)
        return done_s / max(whole_s, done_s, 1e-3)

    def pieces(self) -> Generator[Piece, None, None]:
        """Yield the pieces. Raises FileFault, or Stopped."""
        if self._media is None:
            yield Piece(self._descriptor, 0.0, 0.0, is_last=True)
            return
        yield from pieces(self._blocks(self._media), _open_detector, self._channel)

    def _blocks(self, media: Media) -> Iterator[Samples]:
        track = media.track
        if track.count > 1:
            language = f" ({track.language})" if track.language else ""
            self.warnings.append(
                f"The file has {track.count} audio tracks: number {track.number}{language} was transcribed."
            )
        for block in media.blocks(self.warnings.append):
            if self._is_stopped():
                raise Stopped("interrupted")
            yield block


@contextmanager
def opened_source(
    recording: Listed, channel: Channel, is_stopped: Callable[[], bool] = lambda: False
) -> Iterator[Source]:
    """Open a recording. Raises NotARecording, FileFault with what to do, or Stopped."""
    with opened_recording(recording.name, is_stopped) as opened:
        media = _media(opened, recording)
        try:
            yield Source(opened.descriptor, media, channel, is_stopped)
        finally:
            if media is not None:
                media.close()


def _media(opened: Opened, recording: Listed) -> Media | None:
    """The decoder of a recording; None if it is recognized, or refused, as it is. Raises NotARecording, FileFault."""
    head, name = Content(opened.descriptor), shown(recording.name)
    if opened.stream is not None:
        return Media.open(opened.stream, name, head, is_piped=True)
    if _is_read(opened.descriptor):
        return None
    try:
        if library.is_installed():
            return Media.open(DescriptorFile(opened.descriptor), name, head)
    except NotMedia:
        pass  # it is refused with the reason
    except NoAudio as error:
        if recording.inside is not None:
            raise NotARecording from error
        raise
    if recording.may_be_skipped and name_of(head) is None:
        raise NotARecording
    return None


def _is_read(descriptor: int) -> bool:
    """Whether the daemon reads the file itself."""
    try:
        file = AudioFile.open(descriptor)
    except FileFault:
        return False
    return file.samples <= MAX_HOURS * 3600 * SAMPLE_RATE or not library.is_installed()


def _open_detector() -> SpeechDetector:
    from coldvoxd.vad.silero import SileroDetector

    return SileroDetector()
