"""Recognition that starts in a pause, before the utterance is known to be over."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import EngineStatus, StopReason, Utterance
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually

ENDPOINT = EndpointSettings(hangover_ms=512, soft_pause_ms=160)
SOFT, HANGOVER = 5, 16
"""Numbers of frames of silence that complete the soft pause and the hangover."""


def scene(**settings: object) -> Scene:
    return Scene(settings=DictationSettings(stop_tail_ms=96, **settings), endpoint=ENDPOINT)  # type: ignore[arg-type]


def count(scene: Scene, what: Count) -> int:
    return scene.metrics.figures().counts[what]


async def begun(scene: Scene, number: int = 1) -> None:
    await eventually(lambda: len(scene.engine.heard) == number, what="a recognition that begins")


async def test_the_text_is_there_when_the_hangover_has_passed() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await begun(one)
        assert not one.announced.transcripts
        one.hush(HANGOVER - SOFT)
        await eventually(one.saw("text"))
        assert len(one.engine.heard) == 1
        assert (count(one, Count.SPECULATIVE), count(one, Count.SPECULATIVE_USED), count(one, Count.UTTERANCES)) == (
            1,
            1,
            1,
        )
        assert one.metrics.figures().stages[Stage.QUEUE].p99 == 0.0


async def test_the_last_part_of_long_speech_begins_early_with_its_overlap() -> None:
    one = Scene(settings=DictationSettings(stop_tail_ms=96), endpoint=replace(ENDPOINT, max_utterance_s=3.0))
    async with playing(one):
        one.start()
        one.hear(2000, 110)
        await eventually(one.saw("text"))
        one.hush(SOFT)
        await begun(one, 2)
        one.hush(HANGOVER - SOFT)
        await eventually(lambda: len(one.announced.transcripts) == 2)
        first, second = one.engine.heard
        assert (first.overlap.tail > 0, second.overlap.lead > 0) == (True, True)
        assert second.own_start_sample == first.own_end_sample
        assert second.overlap.before is not None
        assert count(one, Count.SPECULATIVE_USED) == 1
        starts = [(transcript.start_s, transcript.end_s) for transcript in one.announced.transcripts]
        assert starts[0][1] == starts[1][0]


async def test_a_run_that_is_still_under_way_at_the_endpoint_is_waited_for() -> None:
    async with playing(scene()) as one:
        one.engine.gate.clear()
        one.start()
        one.hear(2000, 10)
        one.hush(HANGOVER)
        await begun(one)
        one.engine.gate.set()
        await eventually(one.saw("text"))
        assert len(one.engine.heard) == 1


async def test_speech_that_goes_on_stops_the_run_and_is_recognized_whole() -> None:
    async with playing(scene()) as one:
        one.engine.gate.clear()
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await begun(one)
        one.hear(3000, 10)
        await eventually(lambda: len(one.engine.stopped) == 1, what="the run that is stopped")
        one.engine.gate.set()
        one.hush(SOFT)
        await begun(one, 2)
        assert await one.stop() == "2000 3000"
        assert [utterance.id for utterance in one.engine.heard] == [100, 100]
        assert one.pipeline.next_utterance() == 101
        assert (count(one, Count.SPECULATIVE), count(one, Count.SPECULATIVE_USED)) == (2, 1)
        assert one.metrics.figures().stages[Stage.SPECULATION_DISCARDED].count == 1


async def test_a_text_that_was_ready_is_nobodys_where_speech_goes_on() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await begun(one)
        await asyncio.sleep(0)
        one.hear(3000, 10)
        assert await one.stop() == "2000 3000"
        assert [transcript.text for transcript in one.announced.transcripts] == ["2000 3000"]


async def test_the_stop_in_a_pause_has_its_text_already() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await begun(one)
        assert await one.stop() == "2000"
        assert len(one.engine.heard) == 1
        assert one.announced.seen[-1][2] is StopReason.STOPPED


async def test_a_session_for_one_utterance_ends_with_the_text_that_was_ready() -> None:
    async with playing(scene()) as one:
        session = one.start(single_utterance=True)
        one.hear(2000, 10)
        one.hush(HANGOVER)
        await eventually(one.saw("stopped"))
        assert one.announced.seen[-1] == ("stopped", session, StopReason.SINGLE_UTTERANCE, "2000")
        assert len(one.engine.heard) == 1


async def test_cancel_stops_the_run_and_the_next_session_does_not_wait_for_it() -> None:
    async with playing(scene()) as one:
        one.engine.gate.clear()
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await begun(one)
        await one.pipeline.cancel(":1.1")
        await eventually(lambda: len(one.engine.stopped) == 1, what="the run that is stopped")
        one.engine.gate.set()
        one.hush(HANGOVER)
        one.start()
        one.hear(3000, 10)
        assert await one.stop() == "3000"
        assert [transcript.text for transcript in one.announced.transcripts] == ["3000"]


async def test_cancel_stops_an_utterance_that_was_cut_too() -> None:
    async with playing(scene(speculate=False)) as one:
        one.engine.gate.clear()
        one.start()
        one.hear(2000, 10)
        one.hush(HANGOVER)
        await begun(one)
        await one.pipeline.cancel(":1.1")
        await eventually(lambda: len(one.engine.stopped) == 1, what="the run that is stopped")


async def test_audio_that_is_lost_in_the_pause_is_part_of_no_early_run() -> None:
    """Pins that a run's result is used only for exactly the samples that were cut."""
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT + 1)
        await begun(one)
        one.lose(3)
        await eventually(one.saw("text"))
        early, cut = one.engine.heard
        assert len(cut.samples) > len(early.samples)
        assert count(one, Count.SPECULATIVE_USED) == 0


async def test_behind_an_utterance_that_takes_long_an_early_one_waits_its_turn() -> None:
    async with playing(scene()) as one:
        one.engine.gate.clear()
        one.start()
        one.hear(2000, 10)
        one.hush(HANGOVER)
        one.hear(3000, 10)
        one.hush(SOFT)
        await begun(one)
        one.hear(3000, 10)  # it never started, so nothing was wasted
        one.hush(HANGOVER)
        one.engine.gate.set()
        assert await one.stop() == "2000 3000"
        assert [utterance.id for utterance in one.engine.heard] == [100, 101]
        assert Stage.SPECULATION_DISCARDED not in one.metrics.figures().stages


@pytest.mark.parametrize(
    ("settings", "on_battery", "expected"),
    [
        ({}, False, 1),
        ({"speculate": False}, False, 0),
        ({"speculate_share": 0.0}, False, 0),
        ({"speculate_share_on_battery": 0.0}, True, 0),
        ({"speculate_share": 0.0, "speculate_share_on_battery": 1.0}, True, 1),
    ],
)
async def test_whether_recognition_begins_early_is_for_settings_and_power_to_say(
    settings: dict[str, float], on_battery: bool, expected: int
) -> None:
    async with playing(scene(**settings)) as one:
        one.pipeline.on_battery(on_battery)
        one.start()
        one.hear(2000, 10)
        one.hush(SOFT)
        await asyncio.sleep(0)
        one.hush(HANGOVER)
        await eventually(one.saw("text"))
        assert count(one, Count.SPECULATIVE) == expected


async def test_where_the_model_still_loads_nothing_is_begun_early() -> None:
    async with playing(scene()) as one:
        one.engine.status = EngineStatus(loading=True)
        one.start()
        one.hear(2000, 10)
        one.hush(HANGOVER)
        await eventually(one.saw("text"))
        assert count(one, Count.SPECULATIVE) == 0


async def told(seed: int, **settings: object) -> tuple[list[Utterance], list[tuple[object, ...]]]:
    """Return the outcome of a random story: the published utterances, and everything that clients saw."""
    chance = Random(seed)
    async with playing(scene(**settings)) as one:
        one.start()
        for _ in range(25):
            one.hear(chance.choice((3, 2000, 3000, 4000)), chance.randint(1, 14))
            if chance.random() < 0.05:
                one.lose(2)
            for _ in range(chance.randint(0, 5)):
                await asyncio.sleep(0)
        await one.stop()
        last = {utterance.id: utterance for utterance in one.engine.heard}
        ids = [transcript.utterance_id for transcript in one.announced.transcripts]
        return [last[number] for number in ids], [
            (transcript.utterance_id, transcript.text, transcript.start_s, transcript.end_s)
            for transcript in one.announced.transcripts
        ]


@pytest.mark.parametrize("seed", range(12))
async def test_the_same_audio_is_recognized_with_and_without(seed: int) -> None:
    early, seen_early = await told(seed)
    late, seen_late = await told(seed, speculate=False)
    assert seen_early == seen_late
    for one, other in zip(early, late, strict=True):
        assert (one.id, one.start_sample, one.speech_samples) == (other.id, other.start_sample, other.speech_samples)
        assert (one.samples == other.samples).all()
