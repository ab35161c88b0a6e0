"""Endpointing, with stories of frames: `#` speech, `-` unsure, `.` silence, 32 ms each."""

from dataclasses import replace
from random import Random

import pytest

from coldvoxd.core.cut_overlap import lead_samples
from coldvoxd.core.endpoint_effects import Cut, Dropped, Effect, Paused, Resumed, SpeechBegan, SpeechEnded, audio_span
from coldvoxd.core.endpointing import TABLE, EndpointState, Finish, Lost, Phase, Scored, Symbol, read, step
from coldvoxd.core.quiet_place import QuietPlace
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.values import FRAME_SAMPLES, EndReason

SETTINGS = EndpointSettings(
    onset_ms=64, hangover_ms=160, soft_pause_ms=160, lead_ms=64, tail_ms=32, min_speech_ms=96, max_utterance_s=3.2
)
PROBABILITIES = {"#": 0.9, "-": 0.4, ".": 0.02, "q": 0.9}
F = FRAME_SAMPLES


class Story:
    """An endpointing state machine that receives frames, and records its effects."""

    def __init__(self, settings: EndpointSettings = SETTINGS, floor: int = 0) -> None:
        self.settings = settings
        self.state = EndpointState(floor_sample=floor)
        self.sample = floor
        self.said: list[Effect] = []

    def frames(self, story: str) -> "Story":
        for sign in story:
            level_db = {"q": -50.0, ".": -60.0}.get(sign, -20.0)
            self._tell(Scored(self.sample, self.sample + F, PROBABILITIES[sign], level_db))
            self.sample += F
        return self

    def lost(self, frames: int) -> "Story":
        self._tell(Lost(self.sample, self.sample + frames * F))
        self.sample += frames * F
        return self

    def finish(self) -> "Story":
        self._tell(Finish(self.sample))
        return self

    def _tell(self, event: Scored | Lost | Finish) -> None:
        self.state, effects = step(self.state, event, self.settings)
        self.said += effects

    @property
    def cuts(self) -> list[Cut]:
        return [effect for effect in self.said if isinstance(effect, Cut)]


def test_speech_becomes_one_utterance_with_lead_and_tail() -> None:
    story = Story().frames("....#####.....")
    assert story.said == [SpeechBegan(4 * F), SpeechEnded(9 * F), Cut(2 * F, 10 * F, EndReason.ENDPOINT, 5 * F)]


def test_an_onset_too_short_falls_back_to_silence() -> None:
    assert Story().frames("..#..#..#.....").said == []


def test_speech_that_returns_in_the_hangover_stays_one_utterance() -> None:
    story = Story().frames("..####...####......")
    assert [(cut.start_sample, cut.end_sample) for cut in story.cuts] == [(0, 14 * F)]


def test_a_wavering_voice_keeps_an_utterance_open_but_does_not_open_one() -> None:
    assert Story().frames("..-----......").said == []
    assert [cut.end_sample for cut in Story().frames("..##-----......").cuts] == [10 * F]


def test_too_little_speech_is_dropped_and_said_so() -> None:
    story = Story().frames("..##......")
    assert story.said == [SpeechBegan(2 * F), SpeechEnded(4 * F), Dropped(2 * F)]


def test_the_lead_never_reaches_into_the_last_utterance() -> None:
    story = Story(EndpointSettings(onset_ms=64, hangover_ms=96, lead_ms=2000, tail_ms=64)).frames("..####...####....")
    first, second = story.cuts
    assert second.start_sample == first.end_sample


def test_the_lead_never_reaches_before_the_session() -> None:
    story = Story(floor=100 * F).frames(".####.....")
    assert story.cuts[0].start_sample == 100 * F


def test_a_long_utterance_is_cut_at_its_quietest_place_and_nothing_is_lost_or_doubled() -> None:
    story = Story().frames("#" * 70 + "q" + "#" * 60 + "." * 8)
    first, second = story.cuts
    cut = 70 * F + F // 2
    assert first == Cut(0, cut, EndReason.LENGTH, cut, (0, 100 * F - cut))
    assert second.start_sample == first.end_sample
    assert second.overlap == (lead_samples(3.2), 0)
    assert second.end_sample == 131 * F + F
    assert [type(effect) for effect in story.said] == [SpeechBegan, Cut, SpeechEnded, Cut]


def test_a_pause_between_words_is_preferred_to_a_shorter_quieter_moment() -> None:
    """The closure before a consonant is nearly silent, and lies within a word."""
    quiet = QuietPlace()
    levels = [-20.0] * 40 + [-70.0] * 2 + [-20.0] * 40 + [-45.0] * 8 + [-20.0] * 40
    for number, level_db in enumerate(levels):
        quiet = quiet.heard(level_db, number * F, (number + 1) * F, 0, float("inf"))
    assert 82 * F < quiet.sample < 90 * F


def test_hours_of_speech_are_cut_into_pieces_within_the_limit_that_join_exactly() -> None:
    story = Story().frames("#" * 1000).finish()
    assert story.cuts[0].start_sample == 0
    assert story.cuts[-1].end_sample == 1000 * F
    for before, after in zip(story.cuts, story.cuts[1:], strict=False):
        assert before.end_sample == after.start_sample
    assert all(cut.end_sample - cut.start_sample <= 3.2 * 16_000 for cut in story.cuts)
    spans = [audio_span(cut) for cut in story.cuts]
    assert all(end - begin <= 3.2 * 16_000 for begin, end in spans), "with the overlap too"
    for cut, span, following in zip(story.cuts, spans, spans[1:], strict=False):
        assert span[1] > cut.end_sample > following[0], "each part has audio of its neighbour"


def test_only_a_part_behind_a_cut_by_length_begins_with_audio_of_the_one_before() -> None:
    story = Story().frames("#" * 110).lost(2).frames("####" + "." * 8 + "####" + "." * 8)
    assert [cut.reason for cut in story.cuts] == [EndReason.LENGTH, EndReason.GAP, *[EndReason.ENDPOINT] * 2]
    assert [cut.overlap[0] > 0 for cut in story.cuts] == [False, True, False, False]
    assert [cut.overlap[1] > 0 for cut in story.cuts] == [True, False, False, False]


def test_audio_that_the_open_part_begins_with_is_kept_and_the_pause_reports_it() -> None:
    story = Story(replace(SETTINGS, hangover_ms=320)).frames("#" * 101)
    assert story.state.keep_from_sample == story.cuts[0].end_sample - lead_samples(3.2)
    story.frames("#" * 5 + "." * 7)
    paused = next(effect for effect in story.said if isinstance(effect, Paused))
    story.frames("." * 8)
    last = story.cuts[-1]
    assert audio_span(paused) == audio_span(last)
    assert last.overlap == (lead_samples(3.2), 0)


def test_the_greatest_length_in_a_pause_ends_there() -> None:
    story = Story().frames("#" * 98 + "....")
    assert story.cuts == [Cut(0, 99 * F, EndReason.LENGTH, 98 * F)]


def test_finish_in_speech_takes_everything_up_to_the_end() -> None:
    assert Story().frames("..#####").finish().cuts == [Cut(0, 7 * F, EndReason.STOP, 5 * F)]


def test_finish_in_a_pause_leaves_the_tail_only() -> None:
    assert Story().frames("..#####...").finish().cuts == [Cut(0, 8 * F, EndReason.STOP, 5 * F)]


def test_finish_in_silence_says_nothing() -> None:
    assert Story().frames("....").finish().said == []


def test_a_gap_closes_the_utterance_and_nothing_reaches_across_it() -> None:
    story = Story().frames("..#####").lost(10).frames("####......")
    first, second = story.cuts
    assert first == Cut(0, 7 * F, EndReason.GAP, 5 * F)
    assert second.start_sample == 17 * F


def test_a_gap_in_silence_moves_the_floor() -> None:
    story = Story().frames("....").lost(3).frames("####......")
    assert story.cuts[0].start_sample == 7 * F


PAUSING = EndpointSettings(
    onset_ms=64, hangover_ms=256, soft_pause_ms=96, lead_ms=64, tail_ms=32, min_speech_ms=96, max_utterance_s=3.2
)


def test_a_soft_pause_tells_what_the_utterance_will_be_and_the_endpoint_says_the_same() -> None:
    story = Story(PAUSING).frames("..####........")
    assert story.said[1:] == [Paused(0, 7 * F, 4 * F), SpeechEnded(6 * F), Cut(0, 7 * F, EndReason.ENDPOINT, 4 * F)]


def test_speech_that_returns_after_a_soft_pause_makes_void_what_was_told() -> None:
    story = Story(PAUSING).frames("..####...##........")
    paused = [effect for effect in story.said if isinstance(effect, Paused | Resumed | Cut)]
    assert paused == [
        Paused(0, 7 * F, 4 * F),
        Resumed(),
        Paused(0, 12 * F, 6 * F),
        Cut(0, 12 * F, EndReason.ENDPOINT, 6 * F),
    ]


def test_speech_that_returns_before_the_soft_pause_is_nobodys_business() -> None:
    story = Story(PAUSING).frames("..####..####..##..")
    assert story.said == [SpeechBegan(2 * F)]


def test_a_soft_pause_never_comes_before_the_tail_was_heard() -> None:
    """Pins that the reported samples are those of the cut, whichever of the two settings is longer."""
    story = Story(replace(PAUSING, tail_ms=160)).frames("..####....")
    assert Paused not in map(type, story.said)
    story.frames("....")
    assert story.said[1:] == [Paused(0, 11 * F, 4 * F), SpeechEnded(6 * F), Cut(0, 11 * F, EndReason.ENDPOINT, 4 * F)]


def test_a_hangover_shorter_than_the_soft_pause_leaves_no_time_for_it() -> None:
    story = Story(replace(PAUSING, hangover_ms=64)).frames("..####....")
    assert [type(effect) for effect in story.said] == [SpeechBegan, SpeechEnded, Cut]


def test_a_pause_after_too_little_speech_is_not_told() -> None:
    assert Story(PAUSING).frames("..##........").said == [SpeechBegan(2 * F), SpeechEnded(4 * F), Dropped(2 * F)]


def test_finish_and_the_greatest_length_in_a_soft_pause_cut_what_was_told() -> None:
    for story, reason in (
        (Story(PAUSING).frames("..####....").finish(), EndReason.STOP),
        (Story(PAUSING).frames("#" * 96 + "....."), EndReason.LENGTH),
    ):
        paused, cut = (effect for effect in story.said if isinstance(effect, Paused | Cut))
        assert isinstance(paused, Paused)
        assert cut == Cut(paused.start_sample, paused.end_sample, reason, paused.speech_samples)


@pytest.mark.parametrize("seed", range(20))
def test_every_cut_in_a_pause_is_what_the_last_pause_told(seed: int) -> None:
    """Pins on random stories that recognition started early has the endpoint's samples."""
    chance = Random(seed)
    story = Story(PAUSING)
    for _ in range(60):
        story.frames(chance.choice("#-.") * chance.randint(1, 12))
    story.finish()
    open_pause: Paused | None = None
    for effect in story.said:
        match effect:
            case Paused():
                open_pause = effect
            case Resumed():
                open_pause = None
            case Cut(start, end):
                if open_pause is not None:
                    assert (open_pause.start_sample, open_pause.end_sample) == (start, end)
                open_pause = None


@pytest.mark.parametrize("phase", list(Phase))
def test_every_symbol_that_can_be_read_in_a_phase_has_a_row(phase: Phase) -> None:
    """Pins that the table handles every frame in every phase."""
    state = EndpointState(floor_sample=0, phase=phase, last_speech_sample=10 * F, speech_samples=F)
    seen = set()
    for end in (11, 30, 99, 100, 101, 200):
        for probability in (0.0, 0.34, 0.36, 0.49, 0.51, 1.0):
            seen.add(read(state, Scored((end - 1) * F, end * F, probability, -30), SETTINGS))
    seen |= {read(state, Lost(0, F), SETTINGS), read(state, Finish(0), SETTINGS)}
    assert seen <= set(TABLE[phase])
    assert seen >= {Symbol.GAP, Symbol.FINISH, Symbol.SILENCE}
