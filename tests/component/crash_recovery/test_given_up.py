"""Utterances that the next process gives up, and what becomes of private ones."""

import asyncio
from pathlib import Path

import pytest

from coldvoxd.core.errors import NotOwner, RecognitionFailed
from coldvoxd.core.values import Hypothesis, StopReason, Utterance
from tests.support.eventually import eventually
from tests.support.spool_lives import BUS, CALLER, Died, Life, files, life, speak_privately, texts


async def test_private_text_goes_back_to_its_owner_alone(tmp_path: Path) -> None:
    session = await speak_privately(tmp_path, private=True)
    second = Life(tmp_path)
    seen = await second.recover()
    assert seen == [("text", session, "2000"), ("stopped", session, StopReason.RESTARTED, "2000")]
    assert second.announced.readers == [CALLER, CALLER]


@pytest.mark.parametrize("options", [{"private": True}, {"bind_to_caller": True}])
@pytest.mark.parametrize(("present", "bus"), [((), BUS), ((CALLER,), "another bus")])
async def test_where_the_owner_has_gone_nobody_gets_it(
    tmp_path: Path, present: tuple[str, ...], bus: str, options: dict[str, bool]
) -> None:
    """Pins that a unique name identifies a client only on the bus that assigned it."""
    session = await speak_privately(tmp_path, **options)
    second = Life(tmp_path, present, bus)
    assert await second.recover() == [("stopped", session, StopReason.CALLER_LEFT, "")]
    assert second.engine.heard == [], "it is not recognized either"
    assert second.announced.readers == [None]
    assert files(tmp_path) == []


async def test_an_owner_that_leaves_while_it_is_recognized_gets_nothing(tmp_path: Path) -> None:
    session = await speak_privately(tmp_path, private=True)
    second = Life(tmp_path)
    second.engine.gate.clear()
    recovering = asyncio.create_task(second.recover())
    await eventually(lambda: second.engine.heard)
    second.present = ()
    second.engine.gate.set()
    assert await recovering == [("stopped", session, StopReason.CALLER_LEFT, "")]


async def test_an_utterance_of_which_processes_die_is_given_up_after_two_attempts(tmp_path: Path) -> None:
    """The utterance after it is not given up."""
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.engine.gate.clear()
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(lambda: first.scene.engine.heard)
        first.scene.hear(3000, 10)
    second = Life(tmp_path)
    second.engine.deadly = True
    with pytest.raises(Died):
        await second.recover()
    second.die()
    third = Life(tmp_path)
    seen = await third.recover()
    assert seen == [("text", session, "3000"), ("stopped", session, StopReason.RESTARTED, "3000")]
    assert len(third.engine.told) == 1
    third.scene.engine.gate.set()
    assert await third.scene.last.retry_last("another") == "2000"
    assert "given up" in third.engine.told[0]
    assert files(tmp_path) == ["quarantined"]
    third.die()
    fourth = Life(tmp_path)
    assert await fourth.recover() == []
    assert fourth.engine.told == [], "it is reported once"
    kept = fourth.spool.given_up()
    assert kept is not None
    assert kept[0].id == session
    assert (kept[1].samples == first.scene.engine.heard[0].samples).all()


async def test_an_early_run_of_which_processes_die_is_given_up_after_two_attempts_too(tmp_path: Path) -> None:
    """Pins that the attempt is recorded before the cut, under the number that the utterance then gets."""
    async with life(tmp_path) as first:
        first.scene.engine.gate.clear()
        first.scene.start()
        first.scene.hear(2000, 10)
        first.scene.hush(6)
        await eventually(lambda: first.scene.engine.heard)
    second = Life(tmp_path)
    second.engine.deadly = True
    with pytest.raises(Died):
        await second.recover()
    second.die()
    third = Life(tmp_path)
    assert texts(await third.recover()) == []
    assert "crashed 2 times while recognizing it" in third.engine.told[0]
    given_up = third.spool.given_up()
    assert given_up is not None
    assert given_up[1].id == first.scene.engine.heard[0].id


async def test_early_runs_that_were_stopped_are_no_attempts(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.engine.gate.clear()
        first.scene.start()
        for number in range(1, 4):
            first.scene.hear(2000, 10)
            first.scene.hush(6)
            await eventually(lambda number=number: len(first.scene.engine.heard) == number)  # type: ignore[misc]
            first.scene.hear(2000, 3)
            await eventually(lambda number=number: len(first.scene.engine.stopped) == number)  # type: ignore[misc]
    second = Life(tmp_path)
    assert texts(await second.recover()) == ["2000"]
    assert second.announced.transcripts[0].utterance_id == first.scene.engine.heard[0].id


async def test_what_the_cpu_refuses_is_given_up_and_kept(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    second.engine.failing = {"2000"}
    assert await second.recover() == [("stopped", session, StopReason.RESTARTED, "")]
    assert files(tmp_path) == ["quarantined"]
    assert "scripted fault" in second.engine.told[0]
    second.scene.start()
    second.scene.hear(3000, 10)
    second.scene.hush()
    assert "quarantined" not in files(tmp_path), "the next utterance replaces it"


async def test_a_private_utterance_that_was_given_up_is_its_owners(tmp_path: Path) -> None:
    await speak_privately(tmp_path, private=True)
    second = Life(tmp_path)
    second.engine.failing = {"2000"}
    await second.recover()
    with pytest.raises(NotOwner):
        await second.scene.last.retry_last("another")
    assert await second.scene.last.retry_last(CALLER) == "2000"


async def test_a_private_utterance_that_was_given_up_goes_with_its_owner(tmp_path: Path) -> None:
    await speak_privately(tmp_path, private=True)
    second = Life(tmp_path)

    async def fail(_: Utterance) -> Hypothesis:
        second.present = ()
        raise RecognitionFailed("scripted")

    second.engine.recognize_on_cpu = fail  # type: ignore[method-assign,assignment]
    await second.recover()
    assert files(tmp_path) == []
