"""Endpointing: finds where utterances begin and end in a stream of scored frames, counted in samples.

Theory of operation. Each frame is first classified as a symbol, by its speech probability and the durations of speech
and silence so far. The table then gives, for each phase and symbol, the next phase and the action. Two thresholds keep
a wavering voice from being chopped: speech begins at `threshold` and ends only below `threshold` - 0.15.

    SILENCE   no speech
    ONSET     speech, not yet long enough to count
    SPEECH    an utterance is open
    HANGOVER  an utterance is open and silent; speech may resume
    PAUSE     the same after soft_pause_ms: if no more speech follows, the audio of the utterance is final

No clock is used: a test can process an hour of audio in a second.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from coldvoxd.core.cut_overlap import TAIL_S, lead_samples
from coldvoxd.core.endpoint_effects import Cut, Dropped, Effect, Paused, Resumed, SpeechBegan, SpeechEnded
from coldvoxd.core.quiet_place import NO_PLACE, QUIET_SHARE, QuietPlace
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.speech_spans import still_speech
from coldvoxd.core.values import SAMPLE_RATE, EndReason, samples_in


class Phase(StrEnum):
    SILENCE = "SILENCE"
    ONSET = "ONSET"
    SPEECH = "SPEECH"
    HANGOVER = "HANGOVER"
    PAUSE = "PAUSE"


class Symbol(StrEnum):
    SPEECH = "speech"
    CONFIRMED = "speech for onset_ms"
    SILENCE = "silence"
    PAUSED = "silence for soft_pause_ms"
    EXPIRED = "silence for hangover_ms"
    FULL = "max_utterance_s reached"
    GAP = "gap"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Scored:
    """A frame as input of the state machine."""

    start_sample: int
    end_sample: int
    speech_probability: float
    level_db: float
    """Root mean square in dBFS; used only for comparisons."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Audio was lost; the next frame begins at `end_sample`."""

    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The session ends at `sample`."""

    sample: int


Event = Scored | Lost | Finish


@dataclass(frozen=True, slots=True)
class EndpointState:
    """The complete state between two frames."""

    floor_sample: int
    """No utterance reaches back before it: the start of the session, or the end of the last utterance or gap."""
    phase: Phase = Phase.SILENCE
    start_sample: int = 0
    """Start of the open utterance, lead included."""
    onset_sample: int = 0
    last_speech_sample: int = 0
    """End of the last frame with speech."""
    speech_samples: int = 0
    quiet: QuietPlace = NO_PLACE
    """Where a cut by length would fall."""
    overlap_samples: int = 0
    """Number of samples before the open utterance with which it is recognized: it was cut from the one before."""

    @property
    def audio_start_sample(self) -> int:
        """First sample with which the open utterance is recognized."""
        return self.start_sample - self.overlap_samples

    @property
    def keep_from_sample(self) -> int:
        """Audio before it is not needed again, except for the lead."""
        return self.floor_sample if self.phase is Phase.SILENCE else self.audio_start_sample


class _Step:
    """The processing of one event. The table's actions are its methods."""

    __slots__ = ("at", "effects", "settings", "state")

    def __init__(self, state: EndpointState, settings: EndpointSettings, at: Event) -> None:
        self.state = state
        self.settings = settings
        self.at = at
        self.effects: list[Effect] = []

    def begin(self) -> None:
        """Open a possible utterance at the first speech after silence."""
        frame = self._frame()
        lead_sample = frame.start_sample - samples_in(self.settings.lead_ms)
        self.state = replace(
            self.state,
            start_sample=max(self.state.floor_sample, lead_sample),
            overlap_samples=0,
            onset_sample=frame.start_sample,
            speech_samples=0,
            quiet=NO_PLACE,
        )
        self.hear()

    def confirm(self) -> None:
        self.effects.append(SpeechBegan(self.state.onset_sample))
        self.hear()

    def begin_and_confirm(self) -> None:
        self.begin()
        self.effects.append(SpeechBegan(self.state.onset_sample))

    def hear(self) -> None:
        """Count speech, and update the quietest place."""
        frame = self._frame()
        self.state = replace(
            self.state,
            last_speech_sample=frame.end_sample,
            speech_samples=self.state.speech_samples + frame.end_sample - frame.start_sample,
        )
        self.wait()

    def wait(self) -> None:
        """Update the quietest place of the open utterance."""
        frame = self._frame()
        longest = self.settings.max_utterance_s * SAMPLE_RATE
        first, last = (self.state.audio_start_sample + share * longest for share in QUIET_SHARE)
        quiet = self.state.quiet.heard(frame.level_db, frame.start_sample, frame.end_sample, first, last)
        self.state = replace(self.state, quiet=quiet)

    def pause(self) -> None:
        """Report that the utterance may be over, unless it is so short that it will be dropped."""
        self.wait()
        if self.state.speech_samples >= samples_in(self.settings.min_speech_ms):
            end_sample = self.state.last_speech_sample + samples_in(self.settings.tail_ms)
            overlap = (self.state.overlap_samples, 0)
            self.effects.append(Paused(self.state.start_sample, end_sample, self.state.speech_samples, overlap))

    def resume(self) -> None:
        self.effects.append(Resumed())
        self.hear()

    def forget(self) -> None:
        """Do nothing: there was no speech, or too little to count."""

    def end_at_silence(self) -> None:
        self._end(self.state.last_speech_sample + samples_in(self.settings.tail_ms), EndReason.ENDPOINT)

    def end_in_pause(self) -> None:
        """End at the pause in which the maximum length was reached: there is no better place to cut."""
        self._end(self.state.last_speech_sample + samples_in(self.settings.tail_ms), EndReason.LENGTH)

    def cut_at_quietest(self) -> None:
        """Close the utterance at its quietest place, and continue from there in the next one."""
        self.hear()
        cut_sample = self.state.quiet.sample if self.state.quiet.is_known else self._now()
        speech_after = max(0, self.state.last_speech_sample - cut_sample)
        speech_before = max(0, self.state.speech_samples - speech_after)
        longest_s = self.settings.max_utterance_s
        last_sample = min(self._now(), self.state.audio_start_sample + int(longest_s * SAMPLE_RATE))
        tail = max(0, min(last_sample - cut_sample, round(TAIL_S * SAMPLE_RATE)))
        overlap = (self.state.overlap_samples, tail)
        self.effects.append(Cut(self.state.start_sample, cut_sample, EndReason.LENGTH, speech_before, overlap))
        self.state = replace(
            self.state,
            floor_sample=cut_sample,
            start_sample=cut_sample,
            overlap_samples=lead_samples(longest_s),
            onset_sample=cut_sample,
            speech_samples=speech_after,
            quiet=NO_PLACE,
        )

    def end_at_gap(self) -> None:
        self._end(self._now(), EndReason.GAP)
        self.skip()

    def skip(self) -> None:
        """Keep utterances from reaching back across lost audio."""
        if isinstance(self.at, Lost):
            self.state = replace(self.state, floor_sample=self.at.end_sample)

    def end_at_stop(self) -> None:
        self._end(self._now(), EndReason.STOP)

    def end_at_stop_in_pause(self) -> None:
        self._end(self.state.last_speech_sample + samples_in(self.settings.tail_ms), EndReason.STOP)

    def _end(self, end_sample: int, reason: EndReason) -> None:
        end_sample = min(end_sample, self._now())
        self.effects.append(SpeechEnded(self.state.last_speech_sample))
        if self.state.speech_samples < samples_in(self.settings.min_speech_ms):
            self.effects.append(Dropped(self.state.speech_samples))
        else:
            overlap = (self.state.overlap_samples, 0)
            self.effects.append(Cut(self.state.start_sample, end_sample, reason, self.state.speech_samples, overlap))
        self.state = replace(self.state, floor_sample=end_sample, speech_samples=0)

    def _frame(self) -> Scored:
        assert isinstance(self.at, Scored)  # noqa: S101 - only frames have rows with these actions
        return self.at

    def _now(self) -> int:
        match self.at:
            case Scored():
                return self.at.end_sample
            case Lost():
                return self.at.start_sample
            case Finish():
                return self.at.sample


Action = Callable[[_Step], None]

TABLE: dict[Phase, dict[Symbol, tuple[Phase, Action]]] = {
    Phase.SILENCE: {
        Symbol.SILENCE: (Phase.SILENCE, _Step.forget),
        Symbol.SPEECH: (Phase.ONSET, _Step.begin),
        Symbol.CONFIRMED: (Phase.SPEECH, _Step.begin_and_confirm),
        Symbol.GAP: (Phase.SILENCE, _Step.skip),
        Symbol.FINISH: (Phase.SILENCE, _Step.forget),
    },
    Phase.ONSET: {
        Symbol.SILENCE: (Phase.SILENCE, _Step.forget),
        Symbol.SPEECH: (Phase.ONSET, _Step.hear),
        Symbol.CONFIRMED: (Phase.SPEECH, _Step.confirm),
        Symbol.GAP: (Phase.SILENCE, _Step.skip),
        Symbol.FINISH: (Phase.SILENCE, _Step.forget),
    },
    Phase.SPEECH: {
        Symbol.SPEECH: (Phase.SPEECH, _Step.hear),
        Symbol.SILENCE: (Phase.HANGOVER, _Step.wait),
        Symbol.FULL: (Phase.SPEECH, _Step.cut_at_quietest),
        Symbol.GAP: (Phase.SILENCE, _Step.end_at_gap),
        Symbol.FINISH: (Phase.SILENCE, _Step.end_at_stop),
    },
    Phase.HANGOVER: {
        Symbol.SPEECH: (Phase.SPEECH, _Step.hear),
        Symbol.SILENCE: (Phase.HANGOVER, _Step.wait),
        Symbol.PAUSED: (Phase.PAUSE, _Step.pause),
        Symbol.EXPIRED: (Phase.SILENCE, _Step.end_at_silence),
        Symbol.FULL: (Phase.SILENCE, _Step.end_in_pause),
        Symbol.GAP: (Phase.SILENCE, _Step.end_at_gap),
        Symbol.FINISH: (Phase.SILENCE, _Step.end_at_stop_in_pause),
    },
    Phase.PAUSE: {
        Symbol.SPEECH: (Phase.SPEECH, _Step.resume),
        Symbol.SILENCE: (Phase.PAUSE, _Step.wait),
        Symbol.EXPIRED: (Phase.SILENCE, _Step.end_at_silence),
        Symbol.FULL: (Phase.SILENCE, _Step.end_in_pause),
        Symbol.GAP: (Phase.SILENCE, _Step.end_at_gap),
        Symbol.FINISH: (Phase.SILENCE, _Step.end_at_stop_in_pause),
    },
}


def read(state: EndpointState, event: Event, settings: EndpointSettings) -> Symbol:
    """Return the symbol of an event in this state."""
    match event:
        case Lost():
            return Symbol.GAP
        case Finish():
            return Symbol.FINISH
    length = event.end_sample - event.start_sample
    if state.phase in {Phase.SILENCE, Phase.ONSET}:
        heard = state.speech_samples if state.phase is Phase.ONSET else 0
        if event.speech_probability >= settings.threshold:
            return Symbol.CONFIRMED if heard + length >= samples_in(settings.onset_ms) else Symbol.SPEECH
        return Symbol.SILENCE
    speaking = event.speech_probability >= still_speech(settings.threshold)
    if event.end_sample - state.audio_start_sample >= settings.max_utterance_s * SAMPLE_RATE:
        # The first silence after speech is handled as silence; FULL follows with the next frame.
        return Symbol.FULL if speaking or state.phase is not Phase.SPEECH else Symbol.SILENCE
    if speaking:
        return Symbol.SPEECH
    silent_samples = event.end_sample - state.last_speech_sample
    if state.phase is not Phase.SPEECH and silent_samples >= samples_in(settings.hangover_ms):
        return Symbol.EXPIRED
    # The tail must have arrived: before that, the utterance's samples are not known.
    if state.phase is Phase.HANGOVER and silent_samples >= samples_in(max(settings.soft_pause_ms, settings.tail_ms)):
        return Symbol.PAUSED
    return Symbol.SILENCE


def step(state: EndpointState, event: Event, settings: EndpointSettings) -> tuple[EndpointState, tuple[Effect, ...]]:
    """Return the next state and the effects. The given state is not changed."""
    phase, action = TABLE[state.phase][read(state, event, settings)]
    under_way = _Step(state, settings, event)
    action(under_way)
    return replace(under_way.state, phase=phase), tuple(under_way.effects)
