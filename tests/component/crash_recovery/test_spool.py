"""Sessions whose process dies, and the next process that finishes them: real files, scripted speech."""

import asyncio
import errno
import fcntl
import itertools
import os
import stat
from pathlib import Path

import pytest

from coldvoxd.core.errors import NotActive, NotOwner, NotReady
from coldvoxd.core.values import EndReason, StopReason
from coldvoxd.crash_recovery.spool import SILENCE_BYTES, Spool, runtime_directory
from tests.support.eventually import eventually
from tests.support.faults.filesystem import fill, make_room, small_file_system
from tests.support.spool_lives import BUS, CALLER, Life, files, life, speak_privately, texts


async def test_speech_without_an_endpoint_is_finished_by_the_next_process(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.hush()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    seen = await second.recover()
    assert seen == [("text", session, "2000"), ("stopped", session, StopReason.RESTARTED, "2000")]
    assert second.announced.transcripts[0].retried
    assert files(tmp_path) == []


async def test_the_last_utterance_of_an_interrupted_session_can_be_recognized_again(tmp_path: Path) -> None:
    """A program that only calls StopDictation has missed its signal."""
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(1000, 10)
        first.scene.hush()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    await second.recover()
    assert await second.scene.last.retry_last(":1.7") == "2000"


async def test_a_private_one_is_its_owners(tmp_path: Path) -> None:
    await speak_privately(tmp_path, private=True)
    second = Life(tmp_path)
    await second.recover()
    with pytest.raises(NotOwner):
        await second.scene.last.retry_last(":1.7")
    assert await second.scene.last.retry_last(CALLER) == "2000"


async def test_without_its_owner_none_can_be_recognized_again(tmp_path: Path) -> None:
    await speak_privately(tmp_path, private=True)
    second = Life(tmp_path, present=())
    await second.recover()
    with pytest.raises(NotActive):
        await second.scene.last.retry_last(CALLER)


async def test_an_utterance_keeps_its_pair(tmp_path: Path) -> None:
    """Accepted text is not repeated; text in progress keeps its number; the rest gets a new number."""
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.hush()
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.engine.gate.clear()
        first.scene.hear(3000, 10)
        first.scene.hush()
        await eventually(lambda: len(first.scene.engine.heard) == 2)
        first.scene.hear(4000, 10)
    second = Life(tmp_path)
    seen = await second.recover()
    assert texts(seen) == ["3000", "4000"]
    known, new = [transcript.utterance_id for transcript in second.announced.transcripts]
    assert known == first.scene.engine.heard[1].id
    assert new == second.scene.pipeline.next_utterance() - 1, "a number of the new process"
    assert seen[-1] == ("stopped", session, StopReason.RESTARTED, "3000 4000")
    again = second.engine.heard[0]
    assert (again.samples == first.scene.engine.heard[1].samples).all(), "exactly the same audio"


async def test_text_that_the_bus_has_not_taken_comes_again_with_the_same_pair(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.announced.taking = False
        first.scene.start()
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
    second = Life(tmp_path)
    await second.recover()
    (before,), (after,) = first.announced.transcripts, second.announced.transcripts
    assert (before.session_id, before.utterance_id, before.text) == (after.session_id, after.utterance_id, after.text)
    assert (before.retried, after.retried) == (False, True)
    assert (after.start_s, after.end_s) == (before.start_s, before.end_s)


async def test_speech_comes_in_its_order_even_if_the_next_process_counts_from_a_lower_number(tmp_path: Path) -> None:
    """As with a clock of the system that is behind, for example on another machine."""
    async with life(tmp_path) as first:
        first.scene.engine.gate.clear()
        first.scene.start(CALLER)
        first.scene.hear(2000, 10)
        first.scene.hear(0, 20)
        first.scene.hear(3000, 10)
    second = Life(tmp_path)
    second.scene.pipeline._utterance_numbers = itertools.count(1)
    assert texts(await second.recover()) == ["2000", "3000"]


async def test_a_crash_while_finishing_repeats_the_same_numbers(tmp_path: Path) -> None:
    """Pins that a number is written to the spool before the text with that number is published."""
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    second.announced.taking = False
    await second.recover()
    second.die()
    third = Life(tmp_path)
    await third.recover()
    assert third.announced.transcripts[0].utterance_id == second.announced.transcripts[0].utterance_id


async def test_a_cancelled_session_leaves_nothing(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 10)
        first.scene.hush()
        first.scene.hear(2000, 10)
        assert files(tmp_path)
        await first.scene.pipeline.cancel(CALLER)
        assert files(tmp_path) == []
    assert await Life(tmp_path).recover() == []


async def test_a_session_that_ended_leaves_nothing_once_the_bus_has_taken_its_end(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.hear(2000, 10)
        first.announced.taking = False
        await first.scene.stop()
        assert files(tmp_path)
        for then in first.announced.waiting:
            then()
        assert files(tmp_path) == []
        assert ("stopped", session, StopReason.STOPPED, "2000") in first.announced.seen


async def test_audio_goes_as_soon_as_its_text_is_accepted(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 200)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 40_000


async def test_silence_does_not_pile_up(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hush(3000)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * SILENCE_BYTES
        first.scene.hear(2000, 10)
    assert texts(await Life(tmp_path).recover()) == ["2000"]


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    async with life(tmp_path / "spool") as first:
        first.scene.start()
        first.scene.hear(2000, 10)
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()]
        assert set(modes) == {0o600}
        assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


async def test_recovery_waits_for_a_model_that_is_missing(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    second.engine.refusal = NotReady("no model")
    recovering = asyncio.create_task(second.recover())
    await asyncio.sleep(0.05)
    assert not recovering.done()
    second.engine.refusal = None
    assert texts(await recovering) == ["2000"]


async def test_a_session_that_begins_meanwhile_is_left_alone(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 10)
    second = Life(tmp_path)
    session = second.scene.start()
    second.scene.hear(3000, 10)
    assert texts(await second.recover()) == ["2000"]
    assert files(tmp_path) == [f"{session}-000000.spool"]


async def test_garbage_never_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        session = first.scene.start()
        first.scene.hear(2000, 10)
        first.scene.hush(2)
    (whole,) = (path for path in tmp_path.iterdir() if path.name != "lock")
    with whole.open("ab") as file:
        file.write(whole.read_bytes()[-700:-300])  # the crash interrupted a write
    (tmp_path / "9-000000.spool").write_bytes(b"coldvoxd spool 99\nof another time")
    (tmp_path / "10-000000.spool").write_bytes(os.urandom(5000))
    (tmp_path / "11-000000.spool").touch()
    (tmp_path / "12-000000.spool").symlink_to("/etc/passwd")
    (tmp_path / "13-000000.new").write_bytes(b"half")
    (tmp_path / "letter.txt").write_text("not ours")
    os.mkfifo(tmp_path / "14-000000.spool")
    second = Life(tmp_path)
    assert texts(await second.recover()) == ["2000"]
    assert second.announced.seen[-1] == ("stopped", session, StopReason.RESTARTED, "2000")
    assert files(tmp_path) == ["letter.txt"]
    assert len(second.told) == 5, second.told
    assert Path("/etc/passwd").exists()


async def test_a_full_spool_is_told_once_and_dictation_goes_on(tmp_path: Path) -> None:
    """Uses a real file system of 64 KiB that is full."""
    with small_file_system(tmp_path / "small", 64):
        async with life(tmp_path / "small") as first:
            first.scene.start()
            for value in (2000, 3000):
                first.scene.hear(value, 100)
                first.scene.hush()
            assert await first.scene.stop() == "2000 3000"
            assert len(first.told) == 1
            assert os.strerror(errno.ENOSPC) in first.told[0]
            assert files(tmp_path / "small") == []


@pytest.mark.parametrize("full_at", ["the start", "the first utterance"])
async def test_a_session_is_kept_again_once_there_is_room(tmp_path: Path, full_at: str) -> None:
    """Uses a real file system of 512 KiB that is temporarily full."""
    with small_file_system(tmp_path / "small", 512):
        async with life(tmp_path / "small") as first:
            if full_at == "the start":
                fill(tmp_path / "small")
            session = first.scene.start()
            fill(tmp_path / "small")
            first.scene.hear(2000, 60)
            make_room(tmp_path / "small")
            first.scene.hush()
            await eventually(lambda: texts(first.announced.seen) == ["2000"], what="the text of the first utterance")
            first.scene.hear(3000, 10)
        assert len(first.told) == 1
        second = Life(tmp_path / "small")
        seen = await second.recover()
        assert seen == [("text", session, "3000"), ("stopped", session, StopReason.RESTARTED, "3000")]
        second.die()


async def test_a_spool_belongs_to_one_process(tmp_path: Path) -> None:
    first = Life(tmp_path)
    with pytest.raises(BlockingIOError):
        Spool(tmp_path, BUS, print)
    first.die()
    again = Spool(tmp_path, BUS, print)
    assert os.get_inheritable(again._lock) is False
    with pytest.raises(BlockingIOError):
        fcntl.flock(os.open(tmp_path / "lock", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    again.close()


async def test_a_clean_end_leaves_nothing(tmp_path: Path) -> None:
    async with life(tmp_path) as first:
        first.scene.start()
        first.scene.hear(2000, 10)
        first.scene.hush()
        (tmp_path / "quarantined").write_bytes(b"")
        first.spool.clear()
        assert files(tmp_path) == []


def test_the_runtime_directory_is_systemds_or_the_logins() -> None:
    assert runtime_directory({"RUNTIME_DIRECTORY": "/run/a:/run/b", "XDG_RUNTIME_DIR": "/run/c"}) == Path("/run/a")
    assert runtime_directory({"XDG_RUNTIME_DIR": "/run/c"}) == Path("/run/c/coldvoxd")
    assert runtime_directory({}) is None


def test_end_reasons_survive() -> None:
    """Pins the words in the files: a renamed value requires another format number."""
    assert [reason.value for reason in EndReason] == ["endpoint", "length", "stop", "gap"]
