"""Words are published while they are spoken: when a run starts, what stops it, and what clients see of it."""

import asyncio

import pytest

from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.metrics import Count
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import EndReason, EngineStatus, StopReason
from coldvoxd.dictation.partials import LEAST_NEW_MS, SHARE, SHARE_ON_BATTERY
from tests.support.dictation_scene import Announced, Scene, playing
from tests.support.eventually import eventually

ENDPOINT = EndpointSettings(hangover_ms=512, soft_pause_ms=160)
SOFT, HANGOVER = 5, 16
"""Numbers of frames of silence that complete the soft pause and the hangover."""
STEP = 10
"""Number of frames that are enough new audio for a run: 320 ms."""


def scene(*, partials: bool = True, endpoint: EndpointSettings = ENDPOINT, **settings: object) -> Scene:
    made = Scene(
        settings=DictationSettings(stop_tail_ms=96, partials=partials, **settings),  # type: ignore[arg-type]
        endpoint=endpoint,
    )
    made.pipeline._runner.partials._share = float("inf")  # no pause between runs: these tests read no clock
    return made


def partials(announced: Announced) -> list[tuple[object, ...]]:
    """Return number, stable and other words of the partial transcripts so far."""
    return [seen[2:] for seen in announced.seen if seen[0] == "partial"]


async def partly_heard(one: Scene, number: int) -> None:
    await eventually(lambda: len(one.engine.partly_heard) == number and one.engine.idle, what="a run that has ended")


async def say(one: Scene, value: int, frames: int = STEP) -> None:
    """Speak, and wait for the runs that this starts."""
    one.hear(value, frames)
    while not one.engine.idle:
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)


async def test_words_are_published_while_they_are_spoken() -> None:
    async with playing(scene()) as one:
        session = one.start()
        for value in (2000, 3000, 4000):
            await say(one, value)
        assert partials(one.announced) == [(100, "", "2000"), (100, "2000", "3000"), (100, "2000 3000", "4000")]
        assert await one.stop() == "2000 3000 4000"
        assert [transcript.utterance_id for transcript in one.announced.transcripts] == [100]
        assert one.announced.seen[-1] == ("stopped", session, StopReason.STOPPED, "2000 3000 4000")
        assert one.announced.partial_readers == [None] * 3
        assert one.pipeline.next_utterance() == 101


async def test_a_run_has_the_audio_so_far_and_counts_nowhere() -> None:
    async with playing(scene(speculate=False)) as one:
        one.start()
        await say(one, 2000)
        await say(one, 3000)
        one.hush(HANGOVER)
        await eventually(one.saw("text"))
        first, second = one.engine.partly_heard
        assert (first.start_sample, first.speech, first.context) == (second.start_sample, (), None)
        assert len(second.samples) - len(first.samples) == STEP * 512
        assert (second.end_reason, second.speech_samples) == (EndReason.STOP, 0)
        whole = one.engine.heard[0]
        assert (whole.samples[: len(second.samples)] == second.samples).all()
        counts = one.metrics.figures().counts
        assert (counts[Count.UTTERANCES], counts[Count.SPECULATIVE], counts[Count.FAILED]) == (1, 0, 0)


async def test_nothing_is_recognized_twice_where_no_client_asked() -> None:
    async with playing(scene(partials=False)) as one:
        one.start()
        await say(one, 2000)
        await say(one, 3000)
        assert await one.stop() == "2000 3000"
        assert one.engine.partly_heard == []
        assert partials(one.announced) == []
        one.start(partials=True)
        await say(one, 4000)
        assert partials(one.announced) == [(101, "", "4000")]
        await one.stop()
        one.start()
        await say(one, 5000)
        assert len(partials(one.announced)) == 1, "the option is one of its session"


async def test_the_words_of_a_private_session_are_for_its_owner() -> None:
    async with playing(scene()) as one:
        one.start(caller=":1.7", private=True)
        await say(one, 2000)
        assert one.announced.partial_readers == [":1.7"]


async def test_a_run_that_is_under_way_in_a_pause_is_stopped() -> None:
    async with playing(scene()) as one:
        one.engine.partial_gate.clear()
        one.start()
        one.hear(2000, STEP)
        await eventually(lambda: one.engine.partly_heard, what="a run")
        one.hush(SOFT)
        await eventually(lambda: one.engine.partly_stopped, what="the run that is stopped")
        one.engine.partial_gate.set()
        one.hush(HANGOVER - SOFT)
        await eventually(one.saw("text"))
        assert [shown[0] for shown in partials(one.announced)] == [100], "only that of the speculative run"


async def test_what_a_pause_brought_to_light_is_published_before_the_pause_is_over() -> None:
    """The run that starts in a pause has all words; speech that continues makes it one of several hypotheses."""
    async with playing(scene()) as one:
        one.start()
        await say(one, 2000)
        one.hush(SOFT)
        await eventually(lambda: partials(one.announced) == [(100, "", "2000"), (100, "2000", "")])
        await say(one, 3000, 2 * STEP)
        assert partials(one.announced)[2] == (100, "2000", "3000")
        assert await one.stop() == "2000 3000"


async def test_the_stop_of_a_session_stops_the_run() -> None:
    async with playing(scene()) as one:
        one.engine.partial_gate.clear()
        one.start()
        one.hear(2000, STEP)
        await eventually(lambda: one.engine.partly_heard, what="a run")
        assert await one.stop() == "2000"
        assert len(one.engine.partly_stopped) == 1
        assert partials(one.announced) == []


async def test_cancel_stops_the_run_and_nothing_is_published_after_it() -> None:
    async with playing(scene()) as one:
        await say_and_keep(one)
        await one.pipeline.cancel(":1.1")
        one.engine.partial_gate.set()
        await eventually(lambda: one.engine.partly_stopped, what="the run that is stopped")
        await say(one, 4000)
        assert one.announced.seen[-1][:3] == ("stopped", 1 + 99, StopReason.CANCELLED)


async def say_and_keep(one: Scene) -> None:
    """Publish words, then leave a run in progress."""
    one.start()
    await say(one, 2000)
    one.engine.partial_gate.clear()
    one.hear(3000, STEP)
    await eventually(lambda: len(one.engine.partly_heard) == 2, what="a run")
    assert len(partials(one.announced)) == 1


async def test_a_result_that_has_arrived_as_speech_ends_is_discarded() -> None:
    async with playing(scene()) as one:
        await say_and_keep(one)
        one.engine.partial_gate.set()
        await one.pipeline.cancel(":1.1")  # before the run can return what it has
        await eventually(lambda: one.engine.idle)
        assert len(partials(one.announced)) == 1


async def test_an_utterance_without_words_after_all_takes_its_words_back() -> None:
    async with playing(scene(speculate=False)) as one:
        one.engine.wordless.add("2000")
        one.start()
        await say(one, 2000)
        one.hush(HANGOVER)
        await eventually(lambda: len(partials(one.announced)) == 2, what="the end of the utterance")
        assert partials(one.announced) == [(100, "", "2000"), (100, "", "")]
        assert await one.stop() == ""


async def test_an_utterance_that_fails_takes_its_words_back() -> None:
    async with playing(scene(speculate=False)) as one:
        one.engine.failing.add("2000")
        one.start()
        await say(one, 2000)
        one.hush(HANGOVER)
        await eventually(lambda: len(partials(one.announced)) == 2, what="the end of the utterance")
        assert partials(one.announced)[-1] == (100, "", "")


async def test_an_utterance_of_which_nothing_was_shown_takes_nothing_back() -> None:
    async with playing(scene(speculate=False)) as one:
        one.engine.partly = lambda _: ""
        one.engine.wordless.add("2000")
        one.start()
        await say(one, 2000)
        assert await one.stop() == ""
        assert len(one.engine.partly_heard) == 1
        assert partials(one.announced) == []


async def test_noise_that_is_dropped_has_no_number_and_no_words() -> None:
    endpoint = EndpointSettings(hangover_ms=512, soft_pause_ms=160, min_speech_ms=640)
    async with playing(scene(endpoint=endpoint)) as one:
        one.start()
        await say(one, 2000)
        one.hush(HANGOVER)
        await say(one, 3000, 3 * STEP)
        assert partials(one.announced)[0] == (100, "", "3000")
        assert await one.stop() == "3000"


async def test_a_failed_run_is_no_failure_of_the_utterance_and_is_not_repeated() -> None:
    def fail(text: str) -> str:
        raise ProviderFault(f"scripted fault for {text}")

    async with playing(scene()) as one:
        one.engine.partly = fail
        one.start()
        for value in (2000, 3000, 4000):
            await say(one, value)
        assert len(one.engine.partly_heard) == 1
        one.hush(HANGOVER)
        await eventually(one.saw("text"))
        one.engine.partly = lambda text: text
        await say(one, 5000)
        assert partials(one.announced)[-1] == (101, "", "5000"), "the next utterance is tried"
        assert await one.stop() == "2000 3000 4000 5000"
        assert one.metrics.figures().counts[Count.FAILED] == 0


async def test_no_run_starts_while_anything_else_is_recognized() -> None:
    async with playing(scene(speculate=False)) as one:
        one.engine.gate.clear()
        one.start()
        await say(one, 2000)
        one.hush(HANGOVER)
        await eventually(lambda: one.engine.heard, what="a recognition that begins")
        one.hear(3000, 3 * STEP)
        await asyncio.sleep(0)
        assert len(one.engine.partly_heard) == 1
        one.engine.gate.set()
        await eventually(one.saw("text"))
        await say(one, 4000)
        assert partials(one.announced)[-1][0] == 101


async def test_the_words_behind_the_cut_of_a_long_utterance_are_those_of_the_next() -> None:
    endpoint = EndpointSettings(hangover_ms=512, soft_pause_ms=160, max_utterance_s=3.0)
    async with playing(scene(endpoint=endpoint)) as one:
        one.start()
        for value in range(2000, 2012):
            await say(one, value)
        shown = partials(one.announced)
        assert {partial[0] for partial in shown} == {100, 101}
        await one.stop()
        numbers = [transcript.utterance_id for transcript in one.announced.transcripts]
        assert numbers == [100, 101]
        order = [seen for seen in one.announced.seen if seen[0] in {"partial", "text"}]
        first_text = next(index for index, seen in enumerate(order) if seen[0] == "text")
        assert {seen[2] for seen in order[first_text + 1 :] if seen[0] == "partial"} == {101}


async def test_behind_a_cut_words_are_published_once_those_before_it_are_known() -> None:
    """The audio begins with words of the utterance before."""
    endpoint = EndpointSettings(hangover_ms=512, soft_pause_ms=160, max_utterance_s=3.0)
    async with playing(scene(endpoint=endpoint)) as one:
        one.start()
        for value in range(2000, 2014):
            await say(one, value)
        behind = [partial for partial in one.engine.partly_heard if partial.overlap.lead]
        assert behind
        assert {partial.id for partial in behind} == {101}
        assert {partial.own_start_sample for partial in behind} == {one.engine.heard[0].own_end_sample}
        assert all(partial.overlap.before for partial in behind)


async def test_while_the_screen_is_locked_no_words_are_published() -> None:
    async with playing(scene()) as one:
        of_session = one.pipeline.partials
        one.start()
        await say(one, 2000)
        of_session.may_show = lambda: False
        of_session.hide()
        assert partials(one.announced)[-1] == (100, "", "")
        await say(one, 3000)
        one.hush(SOFT)
        await eventually(lambda: len(one.engine.heard) == 1, what="a speculative run")
        assert len(partials(one.announced)) == 2
        of_session.may_show = lambda: True
        await say(one, 4000, 2 * STEP)
        assert partials(one.announced)[2][0] == 100
        assert await one.stop() == "2000 3000 4000"


async def test_runs_take_their_share_of_the_time_and_no_more() -> None:
    async with playing(scene()) as one:
        own, loop = one.pipeline.partials, asyncio.get_running_loop()
        own._share = 0.5
        one.start()
        one.engine.partial_gate.clear()
        asked_s = loop.time()
        one.hear(2000, STEP)
        await eventually(lambda: one.engine.partly_heard, what="a run")
        begun_s, released_s = loop.time(), loop.time()
        one.engine.partial_gate.set()
        await eventually(lambda: one.engine.idle and own._run is None)
        assert 2 * released_s - begun_s <= own._not_before_s <= 2 * loop.time() - asked_s
        own._not_before_s = float("inf")
        await say(one, 3000)
        assert len(one.engine.partly_heard) == 1
        own._not_before_s = 0.0
        await say(one, 4000)
        assert len(one.engine.partly_heard) == 2


async def test_on_battery_the_share_is_smaller() -> None:
    async with playing(scene()) as one:
        one.pipeline.on_battery(True)
        assert one.pipeline.partials._share == SHARE_ON_BATTERY
        one.pipeline.on_battery(False)
        assert one.pipeline.partials._share == SHARE


async def test_while_no_model_is_loaded_nothing_is_tried() -> None:
    async with playing(scene()) as one:
        one.engine.status = EngineStatus(loading=True, running=RunningEngine(features_size=128))
        one.start()
        await say(one, 2000)
        assert one.engine.partly_heard == []
        one.engine.status = EngineStatus(ready=True, running=RunningEngine(features_size=128))
        await say(one, 3000)
        assert partials(one.announced) == [(100, "", "2000 3000")]


async def test_a_recognizer_that_is_not_free_is_not_asked_with_every_frame() -> None:
    async with playing(scene()) as one:
        one.engine.is_occupied = True
        one.start()
        asked_s = asyncio.get_running_loop().time()
        await say(one, 2000)
        assert len(one.engine.partly_heard) == 1
        assert one.pipeline.partials._not_before_s >= asked_s + LEAST_NEW_MS / 1000
        assert partials(one.announced) == []


@pytest.mark.parametrize("partials_on", [False, True])
async def test_the_texts_are_the_same_with_and_without(partials_on: bool) -> None:
    async with playing(scene(partials=partials_on)) as one:
        one.start()
        for value in (2000, 3000):
            await say(one, value)
            one.hush(HANGOVER)
            await asyncio.sleep(0)
        await say(one, 4000)
        assert await one.stop() == "2000 3000 4000"
        assert [transcript.utterance_id for transcript in one.announced.transcripts] == [100, 101, 102]
