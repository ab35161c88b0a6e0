"""How long a session listens after StopDictation."""

import asyncio

import pytest

from coldvoxd.core.settings import DictationSettings, EndpointSettings
from coldvoxd.core.values import FRAME_SAMPLES, Precision, State, StopReason, samples_in
from coldvoxd.dictation.stop import Stop
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually
from tests.support.sound.speech import samples
from tests.support.stopped_speech import LAST_SYLLABLE_MS, StoppedSpeech

CALLED = 10 * FRAME_SAMPLES
QUIET = 4
"""Number of frames without speech after which the voice has ended, with the default settings."""
TAIL = 7
"""Number of frames that hold the whole of `stop_tail_ms`, by default."""


@pytest.mark.parametrize(
    ("last_speech", "settings", "endpoint", "expected"),
    [
        (CALLED - samples_in(300), {}, {}, CALLED),
        (CALLED - samples_in(128), {}, {}, CALLED),
        (CALLED - samples_in(100), {}, {}, CALLED + samples_in(28)),
        (CALLED, {}, {}, CALLED + samples_in(128)),
        (CALLED + samples_in(64), {}, {}, CALLED + samples_in(192)),
        (CALLED + samples_in(100), {}, {}, CALLED + samples_in(200)),
        (CALLED, {"stop_tail_ms": 0}, {}, CALLED),
        (CALLED, {"stop_tail_ms": 100}, {}, CALLED + samples_in(100)),
        (CALLED, {}, {"tail_ms": 0}, CALLED + samples_in(128)),
        (CALLED, {}, {"tail_ms": 160}, CALLED + samples_in(160)),
        (CALLED, {}, {"tail_ms": 1000}, CALLED + samples_in(200)),
    ],
    ids=[
        "speech is long over",
        "just over",
        "the tail is incomplete",
        "speech at the call",
        "after the call",
        "to the limit",
        "no tail is wanted",
        "a short one",
        "a pause within a word",
        "a longer tail of the utterance",
        "one beyond the limit",
    ],
)
def test_the_end_is_the_end_of_the_voice_between_the_call_and_the_limit(
    last_speech: int, settings: dict[str, int], endpoint: dict[str, int], expected: int
) -> None:
    stop = Stop.at(CALLED, CALLED, DictationSettings(**settings), EndpointSettings(**endpoint))  # type: ignore[arg-type]
    assert stop.end_sample(last_speech) == expected


@pytest.mark.parametrize(("reported", "expected"), [(1280, 1280), (-640, 0)], ids=["too long", "too short"])
def test_the_limit_allows_for_a_latency_that_the_driver_reports_wrongly(reported: int, expected: int) -> None:
    stop = Stop.at(CALLED, CALLED + reported, DictationSettings(), EndpointSettings())
    assert stop.end_sample(CALLED - samples_in(300)) == CALLED
    assert stop.end_sample(CALLED + samples_in(1000)) == CALLED + samples_in(200) + expected


def scene() -> Scene:
    return Scene(settings=DictationSettings())


async def frames_awaited(one: Scene, value: int = 3, most: int = 40) -> int:
    """Stop the session, deliver frames of this value until it has heard enough, and return their number."""
    stopping = asyncio.create_task(one.pipeline.stop(":1.1", one.now_s))
    await asyncio.sleep(0)
    for count in range(most):
        if not one.hearing[-1]:
            await stopping
            return count
        one.hear(value, 1)
    raise AssertionError("the session still listens")


@pytest.mark.parametrize(("silent_frames", "expected"), [(0, QUIET), (1, QUIET - 1), (3, 1), (QUIET, 0), (12, 0)])
async def test_a_stop_after_a_pause_needs_no_more_audio(silent_frames: int, expected: int) -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(silent_frames)
        assert await frames_awaited(one) == expected
        assert one.announced.seen[-1][2:] == (StopReason.STOPPED, "2000")


async def test_a_voice_that_goes_on_is_heard_to_the_end_of_the_tail() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        assert await frames_awaited(one, 2000) == TAIL


async def test_a_word_that_has_just_begun_is_heard() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hush()
        one.hear(2000, 1)
        assert await frames_awaited(one, 2000) == TAIL
        assert one.announced.seen[-1][3] == "2000"


async def test_a_session_in_which_nothing_was_said_ends_at_the_call() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hush()
        assert await frames_awaited(one) == 0


async def test_what_was_captured_before_the_call_is_waited_for() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(10)
        called_s = one.now_s + 5 * FRAME_SAMPLES / 16000
        stopping = asyncio.create_task(one.pipeline.stop(":1.1", called_s))
        await asyncio.sleep(0)
        one.hear(3000, 5)
        assert one.pipeline.state is State.TRANSCRIBING
        assert not stopping.done()
        one.hush(QUIET)
        assert await stopping == "2000 3000"


async def test_a_stop_whose_audio_is_there_has_the_text_of_the_run_in_the_pause() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(QUIET)
        await eventually(lambda: len(one.engine.heard) == 1, what="the run in the pause")
        assert await one.pipeline.stop(":1.1", one.now_s) == "2000"
        assert len(one.engine.heard) == 1


async def test_toggle_ends_the_session_in_the_same_way() -> None:
    async with playing(scene()) as one:
        assert one.pipeline.toggle(":1.1", one.now_s)
        one.hear(2000, 10)
        one.hush(QUIET)
        assert not one.pipeline.toggle(":1.1", one.now_s)
        assert not one.hearing[-1]
        await eventually(one.saw("stopped"))


async def test_a_cancel_in_the_tail_leaves_no_text() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        assert one.pipeline.toggle(":1.1", one.now_s) is False
        one.hush(1)
        await one.pipeline.cancel(":1.1")
        one.hush()
        assert one.announced.seen[-1][2:] == (StopReason.CANCELLED, "")
        assert not one.announced.transcripts


async def test_the_next_session_begins_where_this_one_has_stopped_listening() -> None:
    async with playing(scene()) as one:
        one.start()
        one.hear(2000, 10)
        one.hush(QUIET)
        assert await one.pipeline.stop(":1.1", one.now_s) == "2000"
        one.start()
        one.hear(3000, 10)
        one.hush(QUIET)
        assert await one.pipeline.stop(":1.1", one.now_s) == "3000"


@pytest.mark.heavy
async def test_no_word_is_lost_by_a_stop_in_the_last_syllable() -> None:
    recognizer = ParakeetRecognizer.open(find_model("mini", Precision.FP32), threads=1)
    stops = 0
    for sample in samples():
        recording = StoppedSpeech(sample.wave(), recognizer)
        for before_ms in (*LAST_SYLLABLE_MS, -100, -200, -300):
            called_sample = recording.last_speech_sample - samples_in(before_ms)
            text, _ = await recording.stopped(called_sample)
            assert text == await recording.after_whole_tail(called_sample), (sample.name, before_ms)
            stops += 1
    recognizer.close()
    assert stops >= 200
