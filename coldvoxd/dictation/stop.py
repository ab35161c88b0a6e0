"""The end of a session that a client stops: once the voice that spoke at the call has ended.

A key is often released before the last word is finished, so a session listens on after the call, for `stop_tail_ms` at
most. It needs that time only while someone speaks. After a pause that is longer than any within a word, it needs what was
captured before the call and has not arrived yet, and nothing else.
"""

from dataclasses import dataclass
from typing import Self

from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import samples_in

PAUSE_IN_WORD_MS = 128
"""Maximum length, in milliseconds, of a silence within a word, such as that before the burst of a plosive."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A call that ends a session."""

    called_sample: int
    """Sample that was captured at the time of the call."""
    limit_sample: int
    """Sample at which the session stops listening even if the voice continues."""
    quiet_samples: int
    """Number of samples without speech after which the voice has ended."""

    @classmethod
    def at(
        cls, captured_sample: int, spoken_sample: int, settings: DictationSettings, endpoint: EndpointSettings
    ) -> Self:
        """Return the stop of a session with these settings.

        The samples are those of the call, by measurement and by the latency that the driver reports, which is usually too
        long: the limit allows for it. The audio after the last speech that belongs to an utterance, `tail_ms`, is always waited for, within the limit.
        So the utterance has the samples that it would have after the whole tail, unless speech begins again.
        """
        return cls(
            captured_sample,
            limit_sample=max(captured_sample, spoken_sample) + samples_in(settings.stop_tail_ms),
            quiet_samples=samples_in(max(endpoint.tail_ms, PAUSE_IN_WORD_MS)),
        )

    def end_sample(self, last_speech_sample: int) -> int:
        """Return the sample at which the session stops listening if no speech follows after `last_speech_sample`."""
        return min(self.limit_sample, max(self.called_sample, last_speech_sample + self.quiet_samples))
