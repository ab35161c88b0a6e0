"""Reads the recordings of an evaluation as `coldvoxctl transcribe` reads them."""

from collections.abc import Iterable, Iterator

import numpy as np

from coldvoxd.audio.file import AudioFile
from coldvoxd.cli.folders import Listed
from coldvoxd.cli.recordings import with_command
from coldvoxd.cli.sources import opened_source
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import FileFault
from coldvoxd.core.mixdown import mixed, taken
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE
from coldvoxd.evaluate.clips import Clip
from coldvoxd.evaluate.measuring import Heard
from coldvoxd.evaluate.noise import Wave
from coldvoxd.files.speech_map import SpeechMap
from coldvoxd.vad.silero import SileroDetector

ROUNDED_S = 0.1
"""Seconds by which a clip may end after its recording: durations in manifests are rounded."""


def read(clip: Clip, channel: Channel) -> Heard:
    """Return the audio of a clip, and where it is damaged. Raises FileFault.

    With `auto`, one channel is chosen for the whole recording; `transcribe` chooses one per piece of up to 20 s.
    """
    try:
        return _heard(clip, channel)
    except FileFault as error:
        raise FileFault(with_command(str(clip.path), str(error))) from error


def _heard(clip: Clip, channel: Channel) -> Heard:
    warnings: list[str] = []
    parts: list[Wave] = []
    with opened_source(Listed(str(clip.path)), channel) as source:
        for piece in source.pieces():
            file = AudioFile.open(piece.descriptor, str(clip.path))
            if missing := channel.missing_in(file.channels):
                raise FileFault(f"{clip.path} {missing}")
            blocks = file.blocks(warnings.append, _as_they_are)
            parts += without_beginning(blocks, sum(map(len, parts)) - round(piece.start_s * SAMPLE_RATE))
        warnings += source.warnings
    if not sum(map(len, parts)):
        raise FileFault(f"{clip.path} has no audio: record it again")
    wave = _one_channel(np.concatenate(parts), channel)
    return Heard(part_of(wave, clip), tuple(dict.fromkeys(warnings)))


def part_of(wave: Wave, clip: Clip) -> Wave:
    """Return the part of a recording that a clip is. Raises FileFault if the recording does not have all of it."""
    length_s = len(wave) / SAMPLE_RATE
    if clip.begin_s >= length_s:
        raise FileFault(f"{clip.path} has {length_s:.1f} s, and the clip begins at {clip.begin_s:g} s")
    begin = round(clip.begin_s * SAMPLE_RATE)
    if clip.duration_s is None:
        return wave[begin:]
    if clip.begin_s + clip.duration_s > length_s + ROUNDED_S:
        end_s = clip.begin_s + clip.duration_s
        raise FileFault(f"{clip.path} has {length_s:.1f} s, and the clip ends at {end_s:g} s")
    return wave[begin : begin + round(clip.duration_s * SAMPLE_RATE)]


def without_beginning(blocks: Iterable[Wave], samples: int) -> Iterator[Wave]:
    """Yield audio without its first samples: two pieces of a long recording may overlap."""
    for block in blocks:
        yield block[max(0, samples) :]
        samples -= len(block)


def _as_they_are(channels: Wave) -> Wave:
    return channels


def _one_channel(channels: Wave, channel: Channel) -> Wave:
    """Return the chosen channel of float32 (n, channels), or their mix; with `auto` the one that has the speech."""
    if channels.shape[1] == 1:
        return np.ascontiguousarray(channels[:, 0])
    if channel.number:
        return np.asarray(taken(channels, channel.number))
    if not channel.automatic:
        return np.asarray(mixed(channels))
    found = SpeechMap(SileroDetector(), SileroDetector())
    whole = len(channels) // FRAME_SAMPLES
    padding = np.zeros((FRAME_SAMPLES, channels.shape[1]), np.float32)
    padded = np.concatenate((channels, padding))[: (whole + 1) * FRAME_SAMPLES]
    found.note(padded.reshape(whole + 1, FRAME_SAMPLES, channels.shape[1]))
    return np.asarray(taken(channels, found.channel_of((0, whole + 1))))
