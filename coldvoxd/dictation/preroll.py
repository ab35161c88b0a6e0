"""The pre-roll: the last seconds of audio, and how far back in it a new session may reach."""

import contextlib
import math
from collections import deque
from collections.abc import Iterable, Iterator

from coldvoxd.core.audio_values import Gap, ScoredFrame
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.speech_spans import still_speech
from coldvoxd.core.values import FRAME_SAMPLES, samples_in

PAUSE_IN_SPEECH_MS = 200
"""Pauses up to this length do not end the speech that a session reaches back into."""
SPARE_MS = 1000
"""Audio kept in addition to the settings, because a call is served a little after its arrival."""
HELD_MS = 10_000
"""Audio kept in addition to that while a call waits to be served, for example for an answer of the bus."""


class PreRoll:
    """The last scored frames and gaps, in order."""

    def __init__(self, settings: EndpointSettings, pre_roll_ms: int) -> None:
        self._heard: deque[ScoredFrame | Gap] = deque()
        self._holds = 0
        self.use_settings(settings, pre_roll_ms)

    def use_settings(self, settings: EndpointSettings, pre_roll_ms: int) -> None:
        """Use settings from the next session on."""
        self._settings = settings
        self.pre_roll_ms = pre_roll_ms
        kept_samples = samples_in(pre_roll_ms + settings.lead_ms + SPARE_MS)
        self._limit = math.ceil(kept_samples / FRAME_SAMPLES) + 1
        self._forget()

    def __iter__(self) -> Iterator[ScoredFrame | Gap]:
        return iter(tuple(self._heard))

    def append(self, item: ScoredFrame | Gap) -> None:
        """Add a frame or gap, and drop what is too old."""
        self._heard.append(item)
        self._forget()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep up to `HELD_MS` more inside the context: a call has arrived and cannot be served yet."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            self._forget()

    def replace(self, items: Iterable[ScoredFrame | Gap]) -> None:
        """Replace the content with the same audio on another channel."""
        self._heard = deque(items)

    def clear(self) -> None:
        """Discard all audio."""
        self._heard.clear()

    def _forget(self) -> None:
        limit = self._limit + (samples_in(HELD_MS) // FRAME_SAMPLES if self._holds else 0)
        while len(self._heard) > limit:
            self._heard.popleft()

    def reach_back(self, start_sample: int) -> int:
        """Return the earliest sample that a session which starts at `start_sample` may use.

        If speech had begun by then, that is the start of the speech, at most `pre_roll_ms` earlier. The lead, which
        covers initial consonants, is added within the pre-roll.
        """
        earliest = start_sample - samples_in(self.pre_roll_ms)
        begin = start_sample
        exit_threshold = still_speech(self._settings.threshold)
        for item in reversed(self._heard):
            if isinstance(item, Gap):
                earliest = max(earliest, item.start_sample + item.samples)
                break
            if item.frame.start_sample >= start_sample:
                continue
            if item.speech_probability >= exit_threshold:
                begin = item.frame.start_sample
            elif begin - item.frame.start_sample > samples_in(PAUSE_IN_SPEECH_MS):
                break
        return max(earliest, begin - samples_in(self._settings.lead_ms))
