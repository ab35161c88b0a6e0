"""The last utterance, recognized again by RetryLast."""

import asyncio

import pytest

from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.errors import (
    NotActive,
    NotOwner,
    RecognitionFailed,
)
from coldvoxd.core.metrics import Count
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually


async def test_the_last_utterance_can_be_recognized_again_and_nothing_else_comes_of_it() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.hush()
        scene.hear(3000, 10)
        assert await scene.stop() == "2000 3000"
        told = list(scene.announced.seen)
        assert await scene.last.retry_last(":1.9") == "3000"
        assert await scene.last.retry_last(":1.1") == "3000"
        assert scene.announced.seen == told
        assert scene.metrics.figures().counts[Count.RETRIES] == 2


async def test_a_retry_of_another_utterance_than_the_last_one_is_refused() -> None:
    async with playing(Scene()) as scene:
        scene.start(private=True)
        for value in (2000, 3000):
            scene.hear(value, 10)
            scene.hush()
        await scene.stop()
        first, last = (transcript.utterance_id for transcript in scene.announced.transcripts)
        assert await scene.last.retry_last(":1.1", last) == "3000"
        for caller in (":1.1", ":1.2"):
            with pytest.raises(NotActive, match=f"Utterance {first} is not the last one"):
                await scene.last.retry_last(caller, first)
        with pytest.raises(NotOwner):
            await scene.last.retry_last(":1.2", last)


async def test_a_retry_finds_other_texts_if_they_are_wanted() -> None:
    async with playing(Scene()) as scene:
        scene.start(alternatives=1)
        scene.hear(2000, 10)
        scene.hush()
        await scene.stop()
        for wanted in (2, 0):
            found = await scene.last.recognize_last(":1.1", alternatives=wanted)
            assert (found.text, found.alternatives) == ("2000", (Alternative("not 2000", 0.25),) * wanted)


async def test_an_utterance_that_failed_can_be_had_after_all() -> None:
    async with playing(Scene()) as scene:
        scene.engine.failing = {"2000"}
        scene.start()
        scene.hear(2000, 10)
        with pytest.raises(RecognitionFailed):
            await scene.stop()
        with pytest.raises(RecognitionFailed):
            await scene.last.retry_last(":1.1")
        scene.engine.failing = set()
        assert await scene.last.retry_last(":1.1") == "2000"


async def test_there_is_nothing_to_retry_at_first_and_nothing_of_a_session_that_was_thrown_away() -> None:
    async with playing(Scene()) as scene:
        with pytest.raises(NotActive, match="no utterance"):
            await scene.last.retry_last(":1.1")
        scene.start()
        scene.hear(2000, 10)
        await scene.stop()
        scene.start(bind_to_caller=True)
        assert await scene.last.retry_last(":1.1") == "2000"
        scene.hear(3000, 10)
        scene.hush()
        await eventually(lambda: len(scene.announced.transcripts) == 2)
        scene.pipeline.caller_left(":1.1")
        with pytest.raises(NotActive):
            await scene.last.retry_last(":1.1")


async def test_a_retry_under_way_when_its_session_is_cancelled_is_told_and_gives_no_text() -> None:
    async with playing(Scene()) as scene:
        scene.start()
        scene.hear(2000, 10)
        scene.hush()
        await eventually(scene.saw("text"))
        scene.engine.gate.clear()
        retrying = asyncio.create_task(scene.last.retry_last(":1.1"))
        await eventually(lambda: len(scene.engine.heard) == 2)
        await scene.pipeline.cancel(":1.1")
        scene.engine.gate.set()
        with pytest.raises(NotActive, match="was discarded"):
            await retrying


async def test_what_was_said_in_private_is_retried_by_its_owner_alone() -> None:
    async with playing(Scene()) as scene:
        scene.start(":1.1", private=True)
        scene.hear(2000, 10)
        assert await scene.stop(":1.1") == "2000"
        with pytest.raises(NotOwner):
            await scene.last.retry_last(":1.2")
        assert await scene.last.retry_last(":1.1") == "2000"
