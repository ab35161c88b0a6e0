"""Frames to utterances: which events the segmenter returns, and which records the journal has by then."""

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame, Gap, GapReason, ScoredFrame
from coldvoxd.core.endpoint_effects import Resumed, SpeechBegan, SpeechEnded
from coldvoxd.core.endpointing import EndpointState, Finish
from coldvoxd.core.levels import level_db
from coldvoxd.core.metrics import Metrics
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import FRAME_SAMPLES, EndReason, Hypothesis, SessionOptions, Utterance
from coldvoxd.dictation.last_utterance import LastUtterance
from coldvoxd.dictation.segmenter import (
    LEVEL_EVERY_FRAMES,
    FrameHeard,
    Segmenter,
    SegmenterEvent,
    UtteranceCut,
    UtterancePaused,
)
from coldvoxd.dictation.sinks import NullJournal, Sinks

PAUSE, HANGOVER = 5, 10
"""Numbers of frames of silence that complete the soft pause and the hangover."""


class WrittenJournal(NullJournal):
    """A journal that lists the kinds of its records."""

    def __init__(self) -> None:
        self.records: list[str] = []

    def heard(self, session: int, event: endpointing.Event, frame: Frame | None) -> None:
        assert session == 7
        assert (frame is None) is not isinstance(event, endpointing.Scored)
        if not isinstance(event, Finish):
            self.records.append("heard" if frame else "lost")

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:  # noqa: ARG002
        self.records.append("forget")

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:  # noqa: ARG002
        self.records.append("rewind")

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:  # noqa: ARG002
        self.records.append("cut")


class Bench:
    """A segmenter of a session that started at `start_sample`, and its frames."""

    def __init__(self, start_sample: int = 0, floor_sample: int = 0, max_utterance_s: float = 25.0) -> None:
        self.journal = WrittenJournal()
        sinks = Sinks(LastUtterance(self._refuse, Metrics()), journal=self.journal)
        settings = EndpointSettings(hangover_ms=320, soft_pause_ms=160, max_utterance_s=max_utterance_s)
        head = SpooledSession(7, ":1.1", "", SessionOptions(), start_sample, settings)
        self.segmenter = Segmenter(head, floor_sample, sinks, numbers=itertools.count(100), features_size=lambda: 0)
        self.sample = 0

    async def _refuse(self, utterance: Utterance) -> Hypothesis:
        raise AssertionError(f"nothing recognizes utterance {utterance.id} here")

    def frames(self, value: int, count: int) -> list[ScoredFrame]:
        made = []
        for _ in range(count):
            samples = np.full(FRAME_SAMPLES, value, np.int16)
            probability = 0.95 if value > 1000 else 0.01
            made.append(ScoredFrame(Frame(self.sample, samples), probability, level_db(samples)))
            self.sample += FRAME_SAMPLES
        return made

    def hear(self, value: int, count: int) -> list[SegmenterEvent]:
        return [event for frame in self.frames(value, count) for event in self.segmenter.hear(frame)]


def kinds(events: Iterable[SegmenterEvent]) -> list[type]:
    return [type(event) for event in events if not isinstance(event, FrameHeard)]


async def test_an_utterance_with_a_pause_in_it_keeps_its_number_until_it_is_cut() -> None:
    bench = Bench()
    events = bench.hear(2000, 10) + bench.hear(3, PAUSE) + bench.hear(2000, 5) + bench.hear(3, HANGOVER)
    assert kinds(events) == [SpeechBegan, UtterancePaused, Resumed, UtterancePaused, SpeechEnded, UtteranceCut]
    first, last = (event.utterance for event in events if isinstance(event, UtterancePaused))
    (cut,) = (event for event in events if isinstance(event, UtteranceCut))
    assert (first.id, last.id, cut.utterance.id) == (100, 100, 100)
    assert np.array_equal(last.samples, cut.utterance.samples)
    assert len(first.samples) < len(cut.utterance.samples)
    assert not cut.speech_continues
    assert [event.utterance.id for event in bench.hear(2000, 10) + list(bench.segmenter.finish())
            if isinstance(event, UtteranceCut)] == [101]  # fmt: skip


async def test_an_utterance_says_where_speech_was_found() -> None:
    bench = Bench()
    bench.hear(3, 20)
    events = bench.hear(2000, 10) + bench.hear(3, PAUSE) + bench.hear(2000, 5) + bench.hear(3, HANGOVER)
    (cut,) = (event.utterance for event in events if isinstance(event, UtteranceCut))
    begin = 20 * FRAME_SAMPLES - cut.start_sample
    assert begin > 0, "it has a lead"
    again = begin + (10 + PAUSE) * FRAME_SAMPLES
    assert cut.speech == ((begin, begin + 10 * FRAME_SAMPLES), (again, again + 5 * FRAME_SAMPLES))
    following = bench.hear(2000, 10) + list(bench.segmenter.finish())
    (cut,) = (event.utterance for event in following if isinstance(event, UtteranceCut))
    assert sum(end - begin for begin, end in cut.speech) == 10 * FRAME_SAMPLES


async def test_the_journal_has_the_cut_before_the_caller_and_before_audio_is_forgotten() -> None:
    """A replay needs the cut after the frame that decided it, and before any record that discards its audio."""
    bench = Bench()
    bench.hear(2000, 10)
    bench.hear(3, HANGOVER - 1)
    bench.journal.records.clear()
    events = bench.hear(3, 1)
    assert kinds(events) == [SpeechEnded, UtteranceCut]
    assert bench.journal.records == ["heard", "cut", "forget"]


async def test_a_cut_by_length_says_that_speech_continues() -> None:
    bench = Bench(max_utterance_s=3.0)
    cuts = [event for event in bench.hear(2000, 100) if isinstance(event, UtteranceCut)]
    assert [cut.utterance.end_reason for cut in cuts] == [EndReason.LENGTH]
    assert cuts[0].speech_continues
    assert bench.segmenter.utterance_open


@pytest.mark.parametrize("start_frame", [0, 4])
async def test_one_frame_is_the_first_after_the_call_and_every_third_has_its_level(start_frame: int) -> None:
    bench = Bench(start_sample=start_frame * FRAME_SAMPLES)
    heard = [event for event in bench.hear(3, 12) if isinstance(event, FrameHeard)]
    assert [number for number, event in enumerate(heard) if event.is_first_after_call] == [start_frame]
    levels = [event.level_db is not None for event in heard]
    assert levels == [number % LEVEL_EVERY_FRAMES == 0 for number in range(1, 13)]


async def test_lost_audio_cuts_and_what_came_before_the_floor_is_ignored() -> None:
    bench = Bench(floor_sample=5 * FRAME_SAMPLES)
    assert bench.hear(2000, 5) == []
    assert bench.segmenter.hear(Gap(0, FRAME_SAMPLES, GapReason.STALLED)) == ()
    assert bench.journal.records == []
    bench.hear(2000, 10)
    events = bench.segmenter.hear(Gap(bench.sample, FRAME_SAMPLES, GapReason.STALLED))
    assert kinds(events) == [SpeechEnded, UtteranceCut]
    assert bench.journal.records[-2:] == ["lost", "cut"]


async def test_what_is_heard_again_replaces_what_was_heard_and_is_reported_once() -> None:
    bench = Bench()
    quiet = bench.frames(3, 8)
    for frame in quiet:
        bench.segmenter.hear(frame)
    loud = [ScoredFrame(Frame(f.frame.start_sample, f.frame.samples + 2000), 0.95, -20.0) for f in quiet[2:]]
    assert bench.segmenter.rewind(loud)
    events = [event for frame in loud for event in bench.segmenter.hear_again(frame)]
    assert [type(event) for event in events] == [SpeechBegan]
    (cut,) = (event for event in bench.segmenter.finish() if isinstance(event, UtteranceCut))
    assert np.count_nonzero(np.rint(cut.utterance.samples * 32768) == 2003) == 6 * FRAME_SAMPLES


async def test_a_finished_segmenter_takes_nothing_and_a_closed_one_keeps_nothing() -> None:
    bench = Bench()
    bench.hear(2000, 10)
    assert kinds(bench.segmenter.finish()) == [SpeechEnded, UtteranceCut]
    assert bench.hear(2000, 10) == []
    assert not bench.segmenter.rewind(bench.frames(3, 2))
    assert bench.segmenter.finish() == ()
    bench.segmenter.close()
    assert bench.segmenter.held_frames == 0
