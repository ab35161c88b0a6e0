"""Sessions from Start to the last text, with scripted speech: the sample values of each frame encode its speech."""

import asyncio
import math
from dataclasses import replace

import numpy as np
import pytest

from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.errors import (
    AlreadyActive,
    NotActive,
    NotOwner,
    NotReady,
    RecognitionFailed,
    TextTimeout,
)
from coldvoxd.core.features import BLOCK_COLUMNS, HOP_SAMPLES, log_mel
from coldvoxd.core.metrics import Count, Stage
from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, EngineStatus, SessionOptions, State, StopReason
from tests.support.dictation_scene import FRAME_S, SINGLE, Scene, playing
from tests.support.eventually import eventually


async def test_speech_in_a_session_becomes_texts_in_order_and_the_stop_returns_them_all() -> None:
    async with playing(Scene()) as scene:
        session = scene.start()
        scene.hush()
        scene.hear(2000, 10)
        scene.hush()
        scene.hear(3000, 10)
        assert await scene.stop() == "2000 3000"
        assert [seen for seen in scene.announced.seen if seen[0] in {"started", "text", "stopped"}] == [
            ("started", session),
            ("text", session, "2000"),
            ("text", session, "3000"),
            ("stopped", session, StopReason.STOPPED, "2000 3000"),
        ]
        assert scene.pipeline.state is State.IDLE
        assert scene.pipeline.session == 0
        assert scene.announced.levels > 5


async def test_the_features_of_an_utterance_are_computed_while_it_is_spoken() -> None:
    """Except for the last second, and separately for each utterance of a session."""
    async with playing(Scene()) as scene:
        scene.start()
        for value, frames in ((2000, 40), (3000, 70), (4000, 10)):
            scene.hush()
            scene.hear(value, frames)
        assert await scene.stop() == "2000 3000 4000"
        for utterance in scene.engine.heard:
            assert utterance.early is not None
            missing = len(utterance.samples) // HOP_SAMPLES - utterance.early.shape[1]
            assert missing < 2 * BLOCK_COLUMNS
            assert np.array_equal(log_mel(utterance.samples, 128, utterance.early), log_mel(utterance.samples, 128))
        assert [utterance.early.shape[1] > 0 for utterance in scene.engine.heard if utterance.early is not None] == [
            True,
            True,
            False,
        ]


async def test_a_room_that_goes_on_is_not_scored_until_a_session_begins() -> None:
    scene = Scene()
    scene.hush(400)
    resting = scene.pipeline._listening._gate.passed_over
    assert resting > 80
    async with playing(scene):
        scene.start()
        scene.hush(400)
        assert scene.pipeline._listening._gate.passed_over == resting
        await scene.stop()


async def test_numbers_begin_where_told_and_never_repeat() -> None:
    async with playing(Scene()) as scene:
        numbers = []
        for _ in range(3):
            numbers.append(scene.start())
            scene.hear(2000, 10)
            await scene.stop()
            scene.hush()
        assert numbers == [100, 101, 102]
        assert [transcript.utterance_id for transcript in scene.announced.transcripts] == [100, 101, 102]


async def test_a_start_in_the_middle_of_a_word_reaches_back_to_its_beginning() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.hear(2000, 12)
        scene.start()
        scene.hear(2000, 5)
        scene.hush()
        assert await scene.stop() == "2000"
        spoken = scene.engine.heard[0].samples * 32768
        assert int((np.abs(spoken - 2000) < 1).sum()) == 17 * FRAME_SAMPLES


async def test_a_start_hears_what_the_capture_still_gathers() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        scene.not_yet_told = [2000] * 6
        scene.pipeline.start(":1.1", SessionOptions(), scene.now_s + 6 * FRAME_S)
        assert await scene.stop() == "2000"
        spoken = scene.engine.heard[0].samples * 32768
        assert int((np.abs(spoken - 2000) < 1).sum()) == 6 * FRAME_SAMPLES


async def test_a_start_never_reaches_back_further_than_the_pre_roll() -> None:
    async with playing(Scene(pre_roll_ms=160)) as scene:
        scene.hear(2000, 40)
        scene.start()
        scene.hear(2000, 5)
        await scene.stop()
        utterance = scene.engine.heard[0]
        assert utterance.start_sample >= 40 * FRAME_SAMPLES - 0.160 * SAMPLE_RATE - FRAME_SAMPLES


async def test_speech_that_had_ended_before_the_start_is_not_taken() -> None:
    async with playing(Scene()) as scene:
        scene.hear(4000, 10)
        scene.hush(20)
        scene.start()
        scene.hush()
        scene.hear(2000, 10)
        assert await scene.stop() == "2000"


async def test_a_call_served_late_still_begins_when_it_arrived() -> None:
    async with playing(Scene()) as scene:
        scene.hush()
        called_s = scene.now_s
        scene.hear(2000, 10)
        scene.hush()
        scene.pipeline.start(":1.1", SessionOptions(), called_s)
        assert await scene.stop() == "2000"


async def test_stop_takes_what_was_said_up_to_the_call_and_a_tail() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        stopping = asyncio.create_task(scene.pipeline.stop(":1.1", scene.now_s))
        await asyncio.sleep(0)
        assert scene.pipeline.state is State.TRANSCRIBING
        scene.hear(2000, 3)
        scene.hear(5000, 20)
        assert await stopping == "2000"


async def test_stop_does_not_wait_for_a_microphone_that_stands_still() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        assert await scene.pipeline.stop(":1.1", scene.now_s) == "2000"


async def test_words_come_where_asked_for_with_times_in_the_session() -> None:
    async with playing(Scene()) as scene:
        scene.hush(30)
        scene.start(words=True)
        scene.hush(30)
        scene.hear(2000, 10)
        scene.hush()
        await scene.stop()
        transcript = scene.announced.transcripts[0]
        assert transcript.start_s == pytest.approx(20 * FRAME_S)
        assert transcript.words[0].start_s == pytest.approx(20 * FRAME_S + 0.1)
        assert transcript.end_s - transcript.start_s == pytest.approx(24 * FRAME_S, abs=0.002)


async def test_other_texts_come_where_asked_for() -> None:
    async with playing(Scene()) as scene:
        for wanted in (0, 2):
            scene.start(alternatives=wanted)
            scene.hear(2000, 10)
            scene.hush()
            await scene.stop()
            assert scene.announced.transcripts[-1].alternatives == (Alternative("not 2000", 0.25),) * wanted


async def test_a_second_start_is_refused_also_while_text_is_pending() -> None:
    async with playing(Scene()) as scene:
        scene.engine.gate.clear()
        scene.start()
        with pytest.raises(AlreadyActive):
            scene.start(":1.2")
        scene.hear(2000, 10)
        stopping = asyncio.create_task(scene.stop())
        await eventually(lambda: scene.engine.heard)
        with pytest.raises(AlreadyActive, match="still being recognized"):
            scene.start(":1.2")
        scene.engine.gate.set()
        assert await stopping == "2000"


async def test_cancel_leaves_no_text_and_a_running_recognition_is_dropped() -> None:
    async with playing(Scene()) as scene:
        scene.engine.gate.clear()
        session = scene.start()
        scene.hear(2000, 10)
        scene.hush()
        await eventually(lambda: scene.engine.heard)
        await scene.pipeline.cancel(":1.9")
        scene.engine.gate.set()
        scene.start()
        scene.hear(3000, 10)
        assert await scene.stop() == "3000"
        assert ("stopped", session, StopReason.CANCELLED, "") in scene.announced.seen
        assert "2000" not in {transcript.text for transcript in scene.announced.transcripts}


async def test_a_stop_that_waits_while_another_cancels_is_told() -> None:
    async with playing(Scene()) as scene:
        scene.engine.gate.clear()
        scene.start()
        scene.hear(2000, 10)
        stopping = asyncio.create_task(scene.stop())
        await eventually(lambda: scene.engine.heard)
        await scene.pipeline.cancel(":1.2")
        with pytest.raises(RecognitionFailed, match="cancelled"):
            await stopping


async def test_after_a_timeout_of_stop_the_session_is_active_until_its_text_is_sent() -> None:
    async with playing(Scene(stop_limit_s=0.001)) as scene:
        scene.engine.gate.clear()
        session = scene.start()
        scene.hear(2000, 10)
        with pytest.raises(TextTimeout, match=f"session {session} "):
            await scene.stop()
        for _ in range(2):  # a second call waits for the same text
            assert (scene.pipeline.state, scene.pipeline.session) == (State.TRANSCRIBING, session)
            with pytest.raises(AlreadyActive):
                scene.start()
            with pytest.raises(TextTimeout):
                await scene.stop()
        scene.engine.gate.set()
        await eventually(scene.saw("stopped"), what="the end")
        assert scene.announced.seen[-2:] == [
            ("text", session, "2000"),
            ("stopped", session, StopReason.STOPPED, "2000"),
        ]
        assert (scene.pipeline.state, scene.pipeline.session) == (State.IDLE, 0)


async def test_without_a_session_there_is_nothing_to_stop_or_cancel() -> None:
    async with playing(Scene()) as scene:
        with pytest.raises(NotActive):
            await scene.pipeline.stop(":1.1", 0)
        with pytest.raises(NotActive):
            await scene.pipeline.cancel(":1.1")


async def test_a_stop_of_another_session_than_the_active_one_leaves_it_running() -> None:
    async with playing(Scene()) as scene:
        first = scene.start()
        await scene.stop()
        with pytest.raises(NotActive, match=f"Session {first} "):
            await scene.pipeline.stop(":1.1", scene.now_s, first)
        second = scene.start(":1.2")
        with pytest.raises(NotActive, match=f"Session {first} "):
            await scene.pipeline.stop(":1.1", scene.now_s, first)
        assert (scene.pipeline.state, scene.pipeline.session) == (State.LISTENING, second)


async def test_toggle_starts_and_stops_without_waiting() -> None:
    async with playing(Scene()) as scene:
        assert scene.pipeline.toggle(":1.1", scene.now_s) is True
        scene.hear(2000, 10)
        assert scene.pipeline.toggle(":1.2", scene.now_s) is False
        scene.hush()
        await eventually(scene.saw("stopped"))
        assert scene.announced.transcripts[0].text == "2000"


async def test_toggle_starts_with_options_and_stops_whatever_they_are() -> None:
    async with playing(Scene()) as scene:
        wanted = SessionOptions(single_utterance=True)
        assert scene.pipeline.toggle(":1.1", scene.now_s, wanted) is True
        assert scene.pipeline.options_of(":1.2", scene.pipeline.session) == replace(wanted, language="auto")
        assert scene.pipeline.toggle(":1.1", scene.now_s, SessionOptions(private=True)) is False
        scene.hush(1)
        await eventually(scene.saw("stopped"))
        assert scene.announced.readers == [None], "the session that ran was not private"


async def test_the_options_of_a_session_are_for_those_who_may_read_its_text() -> None:
    async with playing(Scene()) as scene:
        for options, reader in ((SessionOptions(words=True), ":1.2"), (SessionOptions(private=True), ":1.1")):
            session = scene.pipeline.start(":1.1", options, scene.now_s)
            assert scene.pipeline.options_of(reader, session) == replace(options, language="auto")
            for other in (0, session - 1, session + 1):
                with pytest.raises(NotActive, match=f"Session {other} "):
                    scene.pipeline.options_of(":1.1", other)
            if options.private:
                with pytest.raises(NotOwner, match="private to another program"):
                    scene.pipeline.options_of(":1.2", session)
            await scene.stop(":1.1")
            with pytest.raises(NotActive):
                scene.pipeline.options_of(":1.1", session)


async def test_a_private_session_is_its_owners_alone() -> None:
    async with playing(Scene()) as scene:
        scene.start(":1.1", private=True)
        for stranger in (":1.2", ""):
            with pytest.raises(NotOwner):
                await scene.pipeline.stop(stranger, scene.now_s)
            with pytest.raises(NotOwner):
                await scene.pipeline.cancel(stranger)
            with pytest.raises(NotOwner):
                scene.pipeline.toggle(stranger, scene.now_s)
        scene.hear(2000, 10)
        assert await scene.stop(":1.1") == "2000"
        assert scene.announced.readers == [":1.1", ":1.1"]


async def test_a_bound_session_ends_with_its_caller_and_others_do_not() -> None:
    async with playing(Scene()) as scene:
        scene.start(":1.1")
        scene.pipeline.caller_left(":1.1")
        assert scene.pipeline.state is State.LISTENING
        await scene.stop()
        session = scene.start(":1.1", bind_to_caller=True)
        scene.hear(2000, 10)
        scene.pipeline.caller_left(":1.2")
        assert scene.pipeline.session == session
        scene.pipeline.caller_left(":1.1")
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.CALLER_LEFT, "")


async def test_a_single_utterance_ends_the_session_at_its_endpoint() -> None:
    async with playing(Scene()) as scene:
        session = scene.start(single_utterance=True)
        scene.hear(2000, 10)
        scene.hush(SINGLE)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.SINGLE_UTTERANCE, "2000")


@pytest.mark.parametrize(("hangover_ms", "pause_ms", "ends_ms"), [(200, 500, 500), (200, 700, 700), (800, 500, 800)])
async def test_a_single_utterance_ends_at_the_longer_of_two_pauses(
    hangover_ms: int, pause_ms: int, ends_ms: int
) -> None:
    endpoint = EndpointSettings(hangover_ms=hangover_ms)
    settings = DictationSettings(single_utterance_pause_ms=pause_ms)
    async with playing(Scene(endpoint=endpoint, settings=settings)) as scene:
        frames = math.ceil(ends_ms / 1000 / FRAME_S)
        scene.start(single_utterance=True)
        scene.hear(2000, 10)
        scene.hush(frames - 1)
        scene.hear(3000, 10)
        scene.hush(frames)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1][2:] == (StopReason.SINGLE_UTTERANCE, "2000 3000")
        assert len(scene.engine.heard) == 1, "the shorter pause lies inside the utterance"


async def test_the_pause_of_a_single_utterance_leaves_other_sessions_as_they_are() -> None:
    settings = DictationSettings(single_utterance_pause_ms=2000)
    async with playing(Scene(endpoint=EndpointSettings(hangover_ms=320), settings=settings)) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.hush(10)
        await eventually(lambda: len(scene.announced.transcripts) == 1)
        await scene.stop()


async def test_a_single_utterance_longer_than_the_limit_is_kept_whole() -> None:
    async with playing(Scene()) as scene:
        scene.start(single_utterance=True)
        scene.hear(2000, 700)
        scene.hush(SINGLE)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1][3] == "2000 2000"


async def test_the_time_limit_ends_a_session_with_its_text() -> None:
    async with playing(Scene()) as scene:
        session = scene.start(max_seconds=1)
        scene.hear(2000, 10)
        await eventually(scene.saw("stopped"))
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.TIME_LIMIT, "2000")


async def test_an_utterance_that_fails_is_told_and_the_others_are_kept() -> None:
    async with playing(Scene()) as scene:
        scene.engine.failing = {"2000"}
        session = scene.start()
        scene.hear(2000, 10)
        scene.hush()
        scene.hear(3000, 10)
        with pytest.raises(RecognitionFailed, match=r"1 utterance.*scripted fault"):
            await scene.stop()
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.STOPPED, "3000")


async def test_no_model_no_session_but_a_loading_model_lets_utterances_wait() -> None:
    async with playing(Scene()) as scene:
        scene.engine.refusal = NotReady("no model; type this")
        with pytest.raises(NotReady, match="type this"):
            scene.start()
        scene.engine.refusal = None
        scene.engine.status = EngineStatus(loading=True)
        assert scene.pipeline.state is State.LOADING
        session = scene.start()
        assert scene.pipeline.session == session


async def test_shutdown_gives_the_text_time_and_then_leaves() -> None:
    async with playing(Scene()) as scene:
        session = scene.start()
        scene.hear(2000, 10)
        await scene.pipeline.shutdown(5.0)
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.SHUTDOWN, "2000")
    async with playing(Scene()) as scene:
        scene.engine.gate.clear()
        session = scene.start()
        scene.hear(3000, 10)
        await scene.pipeline.shutdown(0.05)
        assert scene.announced.seen[-1] == ("stopped", session, StopReason.SHUTDOWN, "")


async def test_hours_of_silence_in_a_session_keep_no_audio() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hush(20_000)
        session = scene.pipeline._runner.session
        assert session is not None
        assert session.segmenter.held_frames < 20


async def test_settings_that_change_count_from_the_next_session_on() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.pipeline.use_settings(
            endpoint=EndpointSettings(hangover_ms=2000),
            settings=DictationSettings(stop_tail_ms=96),
            pre_roll_ms=0,
            log_text=False,
        )
        scene.hush(13)
        scene.hear(3000, 10)
        scene.hush(13)
        assert await scene.stop() == "2000 3000"
        assert len(scene.engine.heard) == 2, "the hangover of its beginning"
        scene.start()
        scene.hear(2000, 10)
        scene.hush(13)
        scene.hear(3000, 10)
        scene.hush(13)
        await scene.stop()
        assert len(scene.engine.heard) == 3, "the new hangover: one utterance"


async def test_figures_grow_with_what_happens() -> None:
    async with playing(Scene()) as scene:
        scene.engine.failing = {"3000"}
        scene.start()
        scene.hear(2000, 10)
        scene.lose(5)
        scene.hear(3000, 10)
        with pytest.raises(RecognitionFailed):
            await scene.stop()
        scene.start()
        scene.hear(2000, 10)
        await scene.pipeline.cancel(":1.1")
        figures = scene.metrics.figures()
        assert (figures.counts[Count.UTTERANCES], figures.counts[Count.FAILED]) == (2, 1)
        assert figures.gaps[GapReason.STALLED] == 1
        assert (figures.sessions[StopReason.STOPPED], figures.sessions[StopReason.CANCELLED]) == (1, 1)
        assert figures.stages[Stage.KEY_TO_FIRST_SAMPLE].count == 2
        assert figures.stages[Stage.ENDPOINT_TO_TEXT].count == figures.stages[Stage.QUEUE].count == 1


async def test_no_utterance_gets_longer_than_the_recognizer_can_do_in_good_time() -> None:
    async with playing(Scene()) as scene:
        scene.engine.longest_s = 4.0
        scene.start()
        scene.hear(2000, 10 * SAMPLE_RATE // FRAME_SAMPLES)
        await scene.stop()
    assert len(scene.engine.heard) > 2
    assert max(utterance.duration_s for utterance in scene.engine.heard) <= 4.0
