"""Callbacks and waits that re-enter a session during a state change find it in a consistent state."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from coldvoxd.core.errors import NotReady, RecognitionFailed
from coldvoxd.core.metrics import Count
from coldvoxd.core.values import FRAME_SAMPLES, SessionOptions, StopReason
from tests.support.dictation_scene import SINGLE, Scene, playing
from tests.support.eventually import eventually


@pytest.mark.parametrize("frames", [1, 5])
async def test_audio_that_arrives_while_a_session_begins_costs_it_no_pre_roll(frames: int) -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.hear(2000, 12)
        scene.arriving = [[3000] * frames]
        scene.start()
        scene.hear(3000, 10)
        assert await scene.stop() == "2000 3000"
        (utterance,) = scene.engine.heard
        spoken = utterance.samples * 32768
        assert int((np.abs(spoken - 2000) < 1).sum()) == 12 * FRAME_SAMPLES
        assert int((np.abs(spoken - 3000) < 1).sum()) == (10 + frames) * FRAME_SAMPLES


async def test_a_single_utterance_that_ends_within_the_pre_roll_lets_the_microphone_go() -> None:
    async with playing(Scene()) as scene:
        called_s = scene.now_s
        scene.hear(2000, 10)
        scene.hush(SINGLE)
        scene.pipeline.start(":1.1", SessionOptions(single_utterance=True), called_s)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1][2:] == (StopReason.SINGLE_UTTERANCE, "2000")
        assert scene.hearing[-1] is False


@pytest.mark.parametrize(
    ("pause", "after_the_stop"),
    [
        (SINGLE - 1, lambda scene: scene.hush(6)),
        (0, lambda scene: scene.lose(2)),
        (0, lambda scene: scene.pipeline.on_capture(False, "gone")),
    ],
    ids=["hangover", "gap", "microphone lost"],
)
async def test_a_single_utterance_whose_end_comes_after_the_stop_ends_by_the_stop(
    pause: int, after_the_stop: Callable[[Scene], None]
) -> None:
    async with playing(Scene()) as scene:
        session = scene.start(single_utterance=True)
        scene.hear(2000, 10)
        scene.hush(pause)
        stopping = asyncio.create_task(scene.pipeline.stop(":1.1", scene.now_s))
        await asyncio.sleep(0)
        after_the_stop(scene)
        assert await stopping == "2000"
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.STOPPED, "2000")
        assert scene.hearing[-1] is False


async def test_a_call_that_waits_for_the_bus_finds_what_was_said_when_it_arrived() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.hear(2000, 12)
        called_s = scene.now_s
        with scene.pipeline.start_pending():
            scene.hear(3000, 150)
            scene.pipeline.start(":1.1", SessionOptions(), called_s)
        assert await scene.stop() == "2000 3000"


async def test_audio_is_kept_no_longer_than_the_pre_roll_once_no_call_waits() -> None:
    scene = Scene()
    with scene.pipeline.start_pending():
        scene.hear(2000, 150)
        assert len(scene.pipeline._listening.pre_roll) == 150
    assert len(scene.pipeline._listening.pre_roll) < 100
    with scene.pipeline.start_pending():
        scene.hear(2000, 2000)
    assert len(scene.pipeline._listening.pre_roll) < 100


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda scene: scene.pipeline.on_screen_lock(), StopReason.SCREEN_LOCKED),
        (lambda scene: scene.pipeline.on_suspend(), StopReason.SUSPENDING),
    ],
    ids=["lock", "sleep"],
)
async def test_an_end_from_outside_takes_what_the_capture_still_holds(end: object, reason: StopReason) -> None:
    assert callable(end)
    async with playing(Scene()) as scene:
        scene.start()
        scene.not_yet_told = [2000] * 12
        end(scene)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1][2:] == (reason, "2000")


async def test_a_time_limit_takes_what_the_capture_still_holds() -> None:
    async with playing(Scene()) as scene:
        scene.start(max_seconds=1)
        scene.not_yet_told = [2000] * 12
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1][2:] == (StopReason.TIME_LIMIT, "2000")


async def test_shutdown_takes_what_the_capture_still_holds_and_no_session_begins_after_it() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.not_yet_told = [2000] * 12
        await scene.pipeline.shutdown(5.0)
        assert scene.announced.seen[-1][2:] == (StopReason.SHUTDOWN, "2000")
        with pytest.raises(NotReady, match="is stopping"):
            scene.start()


@pytest.mark.parametrize("thrown_away", [False, True], ids=["stopped", "cancelled"])
async def test_what_one_session_heard_is_in_no_other(thrown_away: bool) -> None:
    async with playing(Scene()) as scene:
        scene.start(private=True)
        scene.hear(2000, 20)
        if thrown_away:
            await scene.pipeline.cancel(":1.1")
        else:
            assert await scene.stop() == "2000"
        scene.hear(3000, 10)
        scene.start(":1.2")
        scene.hear(3000, 5)
        assert await scene.stop(":1.2") == "3000"
        spoken = scene.engine.heard[-1].samples * 32768
        assert int((np.abs(spoken - 3000) < 1).sum()) == 15 * FRAME_SAMPLES


async def test_audio_that_comes_between_the_release_of_the_microphone_and_its_closing_is_forgotten() -> None:
    async with playing(Scene()) as scene:
        scene.pipeline.on_release()
        scene.hear(2000, 5)
        scene.pipeline.on_closed()
        scene.start()
        scene.pipeline.on_capture(True)
        scene.hear(3000, 10)
        assert await scene.stop() == "3000"


async def test_who_hears_of_a_sessions_end_finds_it_ended_and_told() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 12)
        seen_at_end: list[object] = []

        def on_hearing(hearing: bool) -> None:
            if not hearing and not scene.pipeline.session:
                seen_at_end.append(scene.announced.seen[-1][0])

        scene.pipeline._runner._on_hearing = on_hearing
        assert await scene.stop() == "2000"
        assert seen_at_end == ["stopped"]


async def test_a_recognition_that_is_cancelled_from_within_fails_and_the_next_one_is_recognized() -> None:
    async with playing(Scene()) as scene:
        scene.engine.cancelling = {"2000"}
        scene.start()
        scene.hear(2000, 10)
        scene.hush()
        scene.hear(3000, 10)
        with pytest.raises(RecognitionFailed):
            await scene.stop()
        assert [transcript.text for transcript in scene.announced.transcripts] == ["3000"]
        assert scene.metrics.figures().counts[Count.FAILED] == 1
