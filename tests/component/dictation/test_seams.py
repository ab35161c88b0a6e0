"""Sentences that survive pauses: contexts in order, sentences that are closed, and the text of the session."""

import asyncio

import pytest

from coldvoxd.core.seams import SeamedText, SeamFinding, SeamMethod
from coldvoxd.core.settings import DictationSettings
from coldvoxd.core.values import StopReason
from tests.support.dictation_scene import Scene, playing
from tests.support.eventually import eventually

CALLER, OTHER = ":1.1", ":1.2"
CONTINUES = SeamFinding(continues=True)
SEAM_S = 1.5
OVER = 60
"""Number of frames that last longer than `SEAM_S` and the hangover."""


def scene(found: SeamFinding | None = CONTINUES, *, seam: str = "auto") -> Scene:
    """Return a scene whose recognizer ends each text with a full stop, and finds `found`."""
    heard = Scene(settings=DictationSettings(stop_tail_ms=96, seam=seam, seam_s=SEAM_S))
    heard.engine.seam_method = SeamMethod.STATE
    heard.engine.mark, heard.engine.seam = ".", found
    return heard


def say(heard: Scene, value: int, pause: int = 15) -> None:
    heard.hear(value, 10)
    heard.hush(pause)


def seamed(heard: Scene) -> list[SeamedText]:
    return [transcript.seamed for transcript in heard.announced.transcripts]


async def test_a_sentence_that_continues_is_joined_without_its_mark() -> None:
    async with playing(scene()) as heard:
        heard.start()
        say(heard, 2000)
        say(heard, 3000)
        assert await heard.stop() == "2000 3000."
        assert seamed(heard) == [SeamedText("2000", "."), SeamedText("3000", ".", " ")]
        assert [transcript.text for transcript in heard.announced.transcripts] == ["2000.", "3000."]
        assert heard.announced.seen[-1] == ("stopped", 100, StopReason.STOPPED, "2000 3000.")
        assert not heard.saw("sentence")()


async def test_where_nothing_is_found_each_text_is_a_sentence() -> None:
    async with playing(scene(None)) as heard:
        heard.start()
        say(heard, 2000)
        say(heard, 3000)
        assert await heard.stop() == "2000. 3000."
        assert seamed(heard)[1] == SeamedText("3000", ".", ". ")


async def test_after_a_long_pause_the_sentence_is_closed_once_and_the_next_one_begins() -> None:
    async with playing(scene()) as heard:
        heard.start()
        say(heard, 2000)
        await eventually(heard.saw("text"))
        assert not heard.saw("sentence")()
        heard.hush(OVER)
        say(heard, 3000, OVER)
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        heard.hush(1)
        assert await heard.stop() == "2000. 3000."
        first, second = (transcript.utterance_id for transcript in heard.announced.transcripts)
        assert [seen[1:] for seen in heard.announced.seen if seen[0] == "sentence"] == [(100, first), (100, second)]
        assert heard.engine.heard[1].context is None
        order = [seen[0] for seen in heard.announced.seen if seen[0] in {"text", "sentence", "stopped"}]
        assert order == ["text", "sentence", "text", "sentence", "stopped"]


async def test_a_sentence_is_not_closed_while_an_utterance_that_may_continue_it_has_no_text() -> None:
    async with playing(scene()) as heard:
        heard.start()
        say(heard, 2000)
        await eventually(heard.saw("text"))
        heard.engine.gate.clear()
        say(heard, 3000)
        heard.hush(3 * OVER)
        assert not heard.saw("sentence")()
        heard.engine.gate.set()
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        heard.hush(1)
        _, second = (transcript.utterance_id for transcript in heard.announced.transcripts)
        assert ("sentence", 100, second) in heard.announced.seen
        assert await heard.stop() == "2000 3000."


async def test_a_pause_that_was_long_enough_closes_the_sentence_before_the_next_text_however_late_texts_are() -> None:
    async with playing(scene()) as heard:
        heard.start()
        heard.engine.gate.clear()
        say(heard, 2000, OVER)
        say(heard, 3000)
        heard.engine.gate.set()
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        first = heard.announced.transcripts[0].utterance_id
        order = [seen for seen in heard.announced.seen if seen[0] in {"text", "sentence"}]
        assert order == [("text", 100, "2000."), ("sentence", 100, first), ("text", 100, "3000.")]
        assert await heard.stop() == "2000. 3000."


async def test_each_utterance_is_recognized_in_the_context_of_the_one_before_it() -> None:
    """The queue is in order: a context is fixed when the recognition begins, and the earlier text is known then."""
    async with playing(scene()) as heard:
        heard.start()
        heard.engine.gate.clear()
        for value in (2000, 3000, 4000):
            say(heard, value)
        await eventually(lambda: len(heard.engine.heard) == 1)
        heard.engine.gate.set()
        assert await heard.stop() == "2000 3000 4000."
        contexts = [utterance.context for utterance in heard.engine.heard]
        assert contexts[0] is None
        assert [context.last_word for context in contexts[1:] if context] == ["2000", "3000"]


async def test_an_utterance_that_begins_early_has_the_same_context() -> None:
    async with playing(scene()) as heard:
        heard.start()
        say(heard, 2000)
        await eventually(heard.saw("text"))
        heard.hear(3000, 10)
        heard.hush(6)
        await eventually(lambda: len(heard.engine.heard) == 2)
        assert len(heard.announced.transcripts) == 1
        heard.hush(10)
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        assert len(heard.engine.heard) == 2, "the early run was used"
        assert seamed(heard)[1].seam == " "
        await heard.stop()


async def test_after_an_utterance_that_failed_a_sentence_begins() -> None:
    async with playing(scene()) as heard:
        heard.engine.failing = {"3000"}
        heard.start()
        for value in (2000, 3000, 4000):
            say(heard, value)
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        assert heard.engine.heard[2].context is None
        assert seamed(heard)[1].seam == ". "


async def test_an_utterance_without_words_does_not_end_the_sentence() -> None:
    async with playing(scene()) as heard:
        heard.engine.wordless = {"3000"}
        heard.start()
        for value in (2000, 3000, 4000):
            say(heard, value, pause=11)
        assert await heard.stop() == "2000 4000."


async def test_a_closed_sentence_of_a_private_session_is_its_owners_alone() -> None:
    async with playing(scene()) as heard:
        heard.start(CALLER, private=True)
        say(heard, 2000)
        await eventually(heard.saw("text"))
        heard.hush(OVER)
        await heard.stop(CALLER)
        assert heard.announced.readers == [CALLER] * 3
        assert heard.saw("sentence")()


@pytest.mark.parametrize("end", ["cancel", "leave"])
async def test_a_discarded_session_closes_no_sentence(end: str) -> None:
    async with playing(scene()) as heard:
        heard.start(CALLER, bind_to_caller=True)
        say(heard, 2000)
        await eventually(heard.saw("text"))
        if end == "cancel":
            await heard.pipeline.cancel(CALLER)
        else:
            heard.pipeline.caller_left(CALLER)
        heard.hush(OVER)
        await asyncio.sleep(0)
        assert not heard.saw("sentence")()
        assert heard.announced.seen[-1][-1] == ""


async def test_switched_off_every_text_is_that_of_earlier_versions() -> None:
    async with playing(scene(seam="off")) as heard:
        heard.start()
        say(heard, 2000, OVER)
        say(heard, 3000, OVER)
        await eventually(lambda: len(heard.announced.transcripts) == 2)
        assert await heard.stop() == "2000. 3000."
        assert seamed(heard) == [SeamedText("2000."), SeamedText("3000.", "", " ")]
        assert not heard.saw("sentence")()
        assert all(utterance.context is None for utterance in heard.engine.heard)


async def test_another_setting_counts_from_the_next_session_on() -> None:
    async with playing(scene()) as heard:
        heard.start()
        say(heard, 2000)
        heard.pipeline.use_settings(
            endpoint=heard.pipeline._listening.endpoint,
            settings=DictationSettings(stop_tail_ms=96, seam="off"),
            pre_roll_ms=0,
            log_text=False,
        )
        say(heard, 3000)
        assert await heard.stop() == "2000 3000."
        heard.hush()
        heard.start()
        say(heard, 2000)
        say(heard, 3000)
        assert await heard.stop() == "2000. 3000."
