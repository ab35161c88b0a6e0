"""The final mark that published texts lack outlives the process, so that the next one joins its texts to them."""

from pathlib import Path

from coldvoxd.core.seams import SeamedText, SeamFinding, SeamMethod, SeamRules
from coldvoxd.core.values import StopReason
from coldvoxd.crash_recovery.spool import _needed
from tests.support.eventually import eventually
from tests.support.spool_lives import CALLER, Life, files, life

CONTINUES = SeamFinding(continues=True)


def with_marks(lived: Life, seam: SeamFinding | None = None) -> Life:
    """Let texts end with a full stop, and let this seam be found before each utterance that has a context."""
    lived.seam_rules = SeamRules(SeamMethod.STATE)
    for engine in (lived.scene.engine, lived.engine):
        engine.seam_method, engine.mark, engine.seam = SeamMethod.STATE, ".", seam
    return lived


def seamed(lived: Life) -> list[SeamedText]:
    return [transcript.seamed for transcript in lived.announced.transcripts]


async def test_the_next_process_begins_a_sentence_after_the_mark_of_the_last_text(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        session = with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.hear(3000, 10)
    second = with_marks(Life(tmp_path))
    seen = await second.recover()
    assert seamed(first) == [SeamedText("2000", ".")]
    assert seamed(second) == [SeamedText("3000", ".", ". ")]
    assert seen[-1] == ("stopped", session, StopReason.RESTARTED, "3000."), "the transcript has only the pending texts"
    assert files(tmp_path) == []


async def test_pending_texts_continue_each_other(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.engine.gate.clear()
        for value in (3000, 4000):
            first.scene.hear(value, 10)
            first.scene.hush()
    second = with_marks(Life(tmp_path), CONTINUES)
    seen = await second.recover()
    assert seamed(second) == [SeamedText("3000", ".", ". "), SeamedText("4000", ".", " ")]
    assert seen[-1][-1] == "3000 4000."


async def test_a_text_that_comes_again_has_the_seam_that_it_had(tmp_path: Path) -> None:
    """The bus had not accepted the second text, so it is published again, after the mark of the first."""
    async with life(tmp_path) as first:
        with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.announced.taking = False
        first.scene.hear(3000, 10)
        first.scene.hush()
        await eventually(lambda: len(first.announced.transcripts) == 2)
    second = with_marks(Life(tmp_path))
    await second.recover()
    assert seamed(second) == [seamed(first)[1]] == [SeamedText("3000", ".", ". ")]


async def test_a_second_crash_while_finishing_keeps_the_mark(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.hear(3000, 10)
    second = with_marks(Life(tmp_path))
    second.announced.taking = False
    await second.recover()
    second.die()
    third = with_marks(Life(tmp_path))
    await third.recover()
    assert seamed(third) == seamed(second) == [SeamedText("3000", ".", ". ")]


async def test_without_an_accepted_text_there_is_no_seam(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
    second = with_marks(Life(tmp_path))
    await second.recover()
    assert seamed(second) == [SeamedText("2000", ".")]


async def test_long_silence_after_a_text_does_not_lose_its_mark(tmp_path: Path) -> None:
    """Audio that is no longer needed goes with its file, and the mark moves to the next file."""
    async with life(tmp_path) as first:
        with_marks(first).scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.hush(1200)
        first.scene.hear(3000, 10)
    second = with_marks(Life(tmp_path))
    await second.recover()
    assert seamed(second) == [SeamedText("3000", ".", ". ")]


def test_only_the_marks_that_may_still_matter_are_kept() -> None:
    marks = {1: ".", 2: "?", 3: "", 4: "."}
    assert _needed(marks, ()) == {4: "."}
    assert _needed(marks, (4,)) == {3: "", 4: "."}
    assert _needed(marks, (3, 4)) == {2: "?", 3: "", 4: "."}
    assert _needed(marks, (1, 4)) == marks
    assert _needed({}, (1,)) == {}
