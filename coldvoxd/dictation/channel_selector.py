"""Channel selector: chooses the microphone channel to use, while no utterance is open."""

import logging
from collections import deque
from dataclasses import replace

from coldvoxd.core.audio_values import Frame
from coldvoxd.core.channels import AUTO, THE_MIX, Channel
from coldvoxd.core.mixdown import Noise, Quiet, band_levels, better, taken
from coldvoxd.core.ports import SpeechDetector

log = logging.getLogger(__name__)

SPEECH_PROBABILITY = 0.5
"""Speech probability from which a frame of another channel contains speech. Noise must not change the channel."""
RECENT_FRAMES = 16
"""Number of frames on which another channel is judged: 0.5 s. The detector needs half of them to warm up."""
JUDGED_FRAMES = 6
"""Number of the most recent of those frames, in which the channel must stand out ..."""
STANDING_OUT_FRAMES = 2
"""... at least this often, with speech once. No utterance has begun by then: `onset_ms` is two frames by default."""
LOOK_FRAMES = 8
"""While no channel becomes louder, levels are computed once per this many frames."""
TURN_FRAMES = 8
"""Number of frames that the scout scores of one channel before it turns to the next, while several stand out."""
SUSPECTS = 3
"""Maximum number of channels that take turns: those that stand out most."""
NO_CHANNEL = -1
"""The scout scores no channel."""


class ChannelSelector:
    """Chooses the channel of each frame by the setting. Event loop only.

    With `auto`, steady background noise costs almost no CPU time: the detector `scout` runs only while a channel is
    much louder than the one in use.
    """

    def __init__(self, scout: SpeechDetector, setting: Channel = AUTO) -> None:
        self._scout = scout
        self._setting = setting
        self.number = THE_MIX
        """The channel in use, from 1; 0 for the mix of all channels."""
        self.reset()

    def use(self, setting: Channel) -> None:
        """Apply another setting from now on, or from the end of the open utterance."""
        self._setting = setting

    def reset(self) -> None:
        """Discard earlier levels: audio was lost, and another microphone may be open.

        The chosen channel stays, because the room may be the same.
        """
        self._noise = Noise()
        self._quiet = Quiet()
        self._passed_over = 0
        self._recent: deque[Frame] = deque(maxlen=RECENT_FRAMES)
        self._standing_out: deque[list[int]] = deque(maxlen=JUDGED_FRAMES)
        self._scouted = NO_CHANNEL
        self._turn = 0
        self._channels = 0

    def note(self, frame: Frame, *, held: bool) -> bool:
        """Take the next frame, in order, and choose a channel unless it is `held`. Returns whether it has changed."""
        if frame.channels is None and self._channels == 1 and self.number == THE_MIX:
            return False  # a single channel leaves no choice, whatever the setting
        channels = 1 if frame.channels is None else frame.channels.shape[1]
        if channels != self._channels:
            self.reset()
            self._channels = channels
        before = self.number
        if self._setting.number > channels or self._setting.automatic:
            chosen = self._automatic(frame, held=held)
        else:
            chosen = self._setting.number if channels > 1 else THE_MIX
        if not held or chosen > channels:
            self.number = chosen
        if self.number != before:
            log.debug("using channel %d instead of %d (0 is the mix) of %d", self.number, before, channels)
        return self.number != before

    def heard(self, frame: Frame) -> Frame:
        """Return a new frame, which holds the mix, on the channel in use."""
        return frame if self.number == THE_MIX else self.heard_again(frame)

    def heard_again(self, frame: Frame) -> Frame:
        """Return an earlier frame, which may hold another channel, on the channel in use."""
        if frame.channels is None or self.number > frame.channels.shape[1]:
            return frame
        return replace(frame, samples=taken(frame.channels, self.number))

    def _automatic(self, frame: Frame, *, held: bool) -> int:
        if frame.channels is None:
            return THE_MIX
        number = self.number if self.number <= self._channels else THE_MIX
        self._recent.append(frame)
        self._passed_over += 1
        if self._quiet.holds(frame.channels) and not any(self._standing_out) and self._passed_over < LOOK_FRAMES:
            return number
        self._passed_over = 0
        levels = band_levels(frame.channels)
        noise_db = self._noise.update(levels)
        if held:
            self._standing_out.clear()
            return number
        self._standing_out.append(better(levels, noise_db, number)[:SUSPECTS])
        suspects = self._suspects()
        if not suspects:
            self._scouted = NO_CHANNEL
            return number
        other = self._scouting(suspects)
        if max(self._scores(other)) < SPEECH_PROBABILITY:
            return number
        self._standing_out.clear()
        self._scouted = NO_CHANNEL
        return THE_MIX if THE_MIX in suspects else other  # the mix is not far below any channel that stands out

    def _suspects(self) -> list[int]:
        """Return the channels that stand out, the clearest first."""
        votes = [other for others in reversed(self._standing_out) for other in others]
        return [other for other in dict.fromkeys(votes) if votes.count(other) >= STANDING_OUT_FRAMES]

    def _scouting(self, suspects: list[int]) -> int:
        """Return the channel for the scout: channels that stand out take turns, the clearest first."""
        self._turn += 1
        if self._scouted in suspects and (self._turn < TURN_FRAMES or len(suspects) == 1):
            return self._scouted
        following = suspects.index(self._scouted) + 1 if self._scouted in suspects else 0
        return suspects[following % len(suspects)]

    def _scores(self, number: int) -> list[float]:
        """Return a channel's speech probability in the last frame, or in the last few if the scout turns to it."""
        frames = [frame.channels for frame in self._recent if frame.channels is not None]
        if number == self._scouted:
            return [self._scout.score(taken(frames[-1], number))]
        self._scouted, self._turn = number, 0
        self._scout.reset()
        return [self._scout.score(taken(frame, number)) for frame in frames][-JUDGED_FRAMES:]
