"""Sessions whose microphone is missing, lost, closed by policy, or asleep."""

import asyncio

import pytest

from coldvoxd.core.errors import (
    NoMicrophone,
)
from coldvoxd.core.metrics import Count
from coldvoxd.core.values import (
    SAMPLE_RATE,
    State,
    StopReason,
)
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("The sound server is gone.", "No microphone delivers audio. The sound server is gone."),
        ("there is no microphone: plug one in", "No microphone delivers audio. There is no microphone: plug one in."),
    ],
)
async def test_no_microphone_is_reported_with_its_reason(problem: str, message: str) -> None:
    async with playing(Scene()) as scene:
        scene.pipeline.on_capture(False, problem)
        assert scene.pipeline.state is State.UNAVAILABLE
        with pytest.raises(NoMicrophone) as raised:
            scene.start()
        assert str(raised.value) == message


async def test_a_microphone_lost_and_found_keeps_the_session_and_both_utterances() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.pipeline.on_capture(False, "gone")
        assert scene.pipeline.state is State.LISTENING
        scene.pipeline.on_capture(True)
        scene.lose(30)
        scene.hear(3000, 10)
        assert await scene.stop() == "2000 3000"


async def test_a_microphone_lost_while_draining_ends_the_wait() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        stopping = asyncio.create_task(scene.pipeline.stop(":1.1", scene.now_s))
        await asyncio.sleep(0)
        scene.pipeline.on_capture(False, "gone")
        assert await stopping == "2000"
        assert scene.pipeline.state is State.UNAVAILABLE


async def test_a_gap_is_never_spliced_over() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.lose(20)
        scene.hear(3000, 10)
        assert await scene.stop() == "2000 3000"
        assert len(scene.engine.heard) == 2


async def test_a_session_begins_while_the_microphone_rests_and_hears_once_it_is_open() -> None:
    async with playing(Scene()) as scene:
        scene.pipeline.on_release()
        states = [scene.pipeline.state]
        scene.start()
        assert [*states, scene.pipeline.state] == [State.IDLE, State.LISTENING]
        assert scene.hearing == [True]
        scene.lose(20)
        scene.pipeline.on_capture(True)
        scene.hear(2000, 20)
        assert await scene.stop() == "2000"
        assert scene.hearing[-1] is False


async def test_what_was_heard_before_the_microphone_was_closed_is_forgotten() -> None:
    async with playing(Scene()) as scene:
        scene.hear(2000, 20)
        scene.pipeline.on_release()
        scene.start()
        scene.pipeline.on_capture(True)
        scene.hush()
        assert await scene.stop() == ""


async def test_a_locked_screen_ends_a_session_with_what_was_said() -> None:
    async with playing(Scene()) as scene:
        session = scene.start()
        scene.hear(2000, 20)
        scene.pipeline.on_screen_lock()
        scene.pipeline.on_capture(False, "The screen is locked.")
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.SCREEN_LOCKED, "2000")
        with pytest.raises(NoMicrophone, match="The screen is locked"):
            scene.start()


async def test_a_sleep_ends_a_session_with_what_was_said_and_keeps_nothing_else() -> None:
    async with playing(Scene()) as scene:
        session = scene.start()
        scene.hear(2000, 20)
        scene.pipeline.on_suspend()
        scene.pipeline.on_capture(False, "The machine sleeps.")
        assert scene.pipeline.state is State.SUSPENDED
        await scene.pipeline.drained()
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.SUSPENDING, "2000")
        with pytest.raises(NoMicrophone, match="The machine sleeps"):
            scene.start()


async def test_after_a_sleep_a_session_may_begin_before_the_microphone_is_open() -> None:
    async with playing(Scene()) as scene:
        scene.hear(2000, 20)
        scene.pipeline.on_suspend()
        scene.pipeline.on_capture(False, "The machine sleeps.")
        scene.pipeline.on_wake()
        assert scene.pipeline.state is State.IDLE
        scene.start()
        scene.pipeline.on_capture(True)
        scene.hush()
        assert await scene.stop() == "", "audio from before the sleep is discarded"


async def test_a_session_begins_while_another_microphone_is_opened_and_reports_what_was_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.pipeline.on_reopening()
        assert scene.pipeline.state is State.IDLE
        scene.start()
        scene.lose(20)
        scene.pipeline.on_capture(True)
        scene.hear(2000, 20)
        assert await scene.stop() == "2000"
        assert scene.metrics.figures().counts[Count.SESSIONS_WITH_GAPS] == 1
        assert "session 100: 0.6 s of audio were lost" in caplog.text


async def test_a_session_that_is_stopped_before_the_other_microphone_delivers_reports_that() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.pipeline.on_reopening()
        scene.start()
        scene.sample += SAMPLE_RATE
        assert await scene.pipeline.stop(":1.1", scene.now_s) == ""
        assert scene.metrics.figures().counts[Count.SESSIONS_WITH_GAPS] == 1


async def test_a_microphone_that_is_closed_by_policy_loses_nothing_by_being_opened_for_a_session() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.pipeline.on_release()
        scene.start()
        scene.lose(20)
        scene.pipeline.on_capture(True)
        scene.hear(2000, 20)
        assert await scene.stop() == "2000"
        assert scene.metrics.figures().counts[Count.SESSIONS_WITH_GAPS] == 0


@pytest.mark.parametrize(("frames", "count"), [(2, 0), (20, 1)])
async def test_audio_that_is_lost_in_a_session_is_counted_if_it_may_hold_a_word(frames: int, count: int) -> None:
    async with playing(Scene()) as scene:
        scene.lose(20)
        scene.start()
        scene.hear(2000, 10)
        scene.lose(frames)
        scene.hear(3000, 10)
        await scene.stop()
        assert scene.metrics.figures().counts[Count.SESSIONS_WITH_GAPS] == count
