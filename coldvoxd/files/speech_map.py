"""Maps the speech of a recording to frames and channels. Pure: the detectors are arguments."""

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from coldvoxd.core.channels import THE_MIX
from coldvoxd.core.mixdown import Levels, Noise, band_levels, better, elected, mixed, taken
from coldvoxd.core.ports import SpeechDetector
from coldvoxd.core.speech_spans import SpeechSpan, speech_spans
from coldvoxd.core.values import FRAME_SAMPLES
from coldvoxd.files.recording_split import Span

SPEECH_PROBABILITY = 0.25
"""Probability from which a frame may contain speech. It is half of dictation's threshold, because a piece that is too
long does no harm. Measured on 500 isolated digits of four speakers, cut tightly: all but 2 have such a frame; at 0.5,
all but 7."""
CHANNEL_PROBABILITY = 0.5
"""Probability from which a single channel contains speech that the mix has lost. It is higher, so that noise on a
channel does not replace the mix."""
SUSPECTS = 3
"""Maximum number of channels that are scored in one block of frames: those that stand out in most of its frames."""
SUSPECT_FRAMES = 2
"""A channel is scored if the mix is far below it in this many frames of a block."""
WARM_FRAMES = 16
"""Number of frames of a channel that the detector scores before the first one that counts: 0.5 s."""
MIX_SHARE = 0.25
"""The mix contains the speech of a span if it contains this share of the span's speech frames."""
_UNHEARD = 64
"""Added to a channel's number in a vote if the channel stands out, but no speech was found in it."""
_NO_VOTE = 255


class SpeechMap:
    """Speech, level and channel of each frame of a recording, in order. Use from one thread.

    Holds 6 bytes per frame of 32 ms.
    """

    def __init__(self, detector: SpeechDetector, scout: SpeechDetector) -> None:
        """`detector` scores each frame of the mix; `scout` scores channels whose speech the mix may have lost."""
        self._detector = detector
        self._scout = scout
        self._noise = Noise()
        self._before: npt.NDArray[np.float32] = np.zeros((0, FRAME_SAMPLES, 1), np.float32)
        self._speech = bytearray()
        self._mix_speech = bytearray()
        self._level_db = array("f")
        self._votes = bytearray()

    @property
    def speech(self) -> npt.NDArray[np.bool_]:
        """Whether each frame may contain speech on any channel, bool (frames,)."""
        return np.frombuffer(self._speech, np.bool_)

    @property
    def level_db(self) -> npt.NDArray[np.float32]:
        """Root mean square of each frame in dBFS, float32 (frames,).

        It is that of the channel that the frame votes for, or that of the mix if there is none.
        """
        return np.frombuffer(self._level_db, np.float32)

    def note(self, frames: npt.NDArray[np.float32]) -> None:
        """Score the next frames, float32 (frames, 512) of one channel, or (frames, 512, channels)."""
        if frames.ndim < 3 or frames.shape[2] == 1:
            for frame in frames.reshape(len(frames), FRAME_SAMPLES):
                self._append(self._has_speech(frame), _level_db(frame), THE_MIX)
            return
        in_mix = [self._has_speech(mixed(frame)) for frame in frames]
        suspected = self._suspected(frames)
        probabilities = {channel: self._probabilities(frames, channel) for channel in _most(suspected)}
        self._before = frames[-WARM_FRAMES:]
        for index, frame in enumerate(frames):
            vote = _vote(in_mix[index], suspected[index], {c: p[index] for c, p in probabilities.items()})
            heard = vote % _UNHEARD if vote != _NO_VOTE else THE_MIX
            self._append(in_mix[index], _level_db(taken(frame, heard)), vote)

    def spans(self, start_sample: int, end_sample: int) -> tuple[SpeechSpan, ...]:
        """Return the speech in [start_sample, end_sample), relative to its start."""
        first, last = start_sample // FRAME_SAMPLES, -(-end_sample // FRAME_SAMPLES)
        frames = enumerate(self._speech[first:last], first)
        found = ((at * FRAME_SAMPLES, (at + 1) * FRAME_SAMPLES, bool(is_speech)) for at, is_speech in frames)
        return speech_spans(found, start_sample, end_sample)

    def channel_of(self, span: Span) -> int:
        """Return the channel on which to recognize a span of frames, from 1; 0 for the mix."""
        begin, end = span
        votes = np.frombuffer(self._votes, np.uint8)[begin:end]
        if not (votes < _UNHEARD).any():
            votes = np.where(votes == _NO_VOTE, votes, votes % _UNHEARD).astype(np.uint8)
            return elected(votes[votes < _UNHEARD].tolist(), mix_holds_speech=False)
        speech = int(self.speech[begin:end].sum())
        mix_speech = int(np.frombuffer(self._mix_speech, np.bool_)[begin:end].sum())
        return elected(votes[votes < _UNHEARD].tolist(), mix_holds_speech=mix_speech >= MIX_SHARE * speech)

    def _append(self, in_mix: bool, level_db: float, vote: int) -> None:
        self._mix_speech.append(in_mix)
        self._speech.append(in_mix or THE_MIX < vote < _UNHEARD)
        self._level_db.append(level_db)
        self._votes.append(vote)

    def _has_speech(self, frame: npt.NDArray[np.float32]) -> bool:
        return self._detector.score(as_int16(frame)) >= SPEECH_PROBABILITY

    def _suspected(self, frames: npt.NDArray[np.float32]) -> list[list[int]]:
        """Return, for each frame, the channels that the mix is far below."""
        found = []
        for frame in frames:
            levels: Levels = band_levels(frame)
            found.append(better(levels, self._noise.update(levels), THE_MIX))
        return found

    def _probabilities(self, frames: npt.NDArray[np.float32], channel: int) -> list[float]:
        self._scout.reset()
        for frame in self._before:
            self._scout.score(as_int16(taken(frame, channel)))
        return [self._scout.score(as_int16(taken(frame, channel))) for frame in frames]


def as_int16(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int16]:
    """Convert float32 (n,) in [-1, 1] to int16 (n,), which detectors take. Values beyond that range are clipped."""
    scaled: npt.NDArray[np.float32] = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767)
    return scaled.astype(np.int16)


def _level_db(samples: npt.NDArray[np.float32]) -> float:
    return 10 * float(np.log10(float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12))


def _most(suspected: Sequence[Sequence[int]]) -> list[int]:
    """Return the channels that stand out in most frames, at most `SUSPECTS` of them."""
    counts: dict[int, int] = {}
    for channels in suspected:
        for channel in channels:
            counts[channel] = counts.get(channel, 0) + 1
    often = [channel for channel, count in counts.items() if count >= SUSPECT_FRAMES]
    return sorted(often, key=lambda channel: -counts[channel])[:SUSPECTS]


def _vote(in_mix: bool, suspected: Sequence[int], probabilities: dict[int, float]) -> int:
    """Return a frame's vote for the channel of the span that contains it."""
    heard = [channel for channel, probability in probabilities.items() if probability >= CHANNEL_PROBABILITY]
    clear = [channel for channel in suspected if channel in heard]
    if clear:
        return clear[0]
    if in_mix:
        return THE_MIX
    if heard:
        return max(heard, key=lambda channel: probabilities[channel])
    return _UNHEARD + suspected[0] if suspected else _NO_VOTE
