"""Which file jobs are admitted, wait, are cancelled, and end with their caller."""

import asyncio
import threading
from pathlib import Path

import pytest

from coldvoxd.core.errors import (
    AlreadyActive,
    NotActive,
    NotOwner,
)
from coldvoxd.core.file_values import FileTranscript
from coldvoxd.files import jobs as files
from tests.support.eventually import eventually
from tests.support.file_desk import ME, OTHER, desk, long_file
from tests.support.sound.speech import samples


async def test_a_cancelled_job_says_nothing_more_and_only_its_owner_can_cancel(tmp_path: Path) -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        job = await here.hand_over(long_file(tmp_path))
        with pytest.raises(NotOwner):
            here.jobs.cancel(OTHER, job)
        with pytest.raises(NotActive):
            here.jobs.cancel(ME, job + 1)
        await eventually(lambda: here.told.progress, what="progress")
        here.jobs.cancel(ME, job)
        told = len(here.told.progress)
        with pytest.raises(NotActive):
            here.jobs.cancel(ME, job)
        gate.set()
        await eventually(lambda: job in here.told.ended)
        assert here.told.outcomes == {}
        assert len(here.told.progress) == told
        outcome = await here.outcome(await here.hand_over(samples()[0].path))
        assert isinstance(outcome, FileTranscript)


async def test_jobs_end_with_their_caller_and_others_go_on(tmp_path: Path) -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        path = long_file(tmp_path)
        mine = [await here.hand_over(path) for _ in range(2)]
        its = await here.hand_over(samples()[0].path, OTHER)
        here.jobs.caller_left(ME)
        gate.set()
        await here.outcome(its)
        assert set(here.told.outcomes) == {its}
        await eventually(lambda: set(mine) <= set(here.told.ended))


async def test_jobs_are_limited_for_each_caller_and_in_all() -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30), most_jobs=files.JOBS_AT_WORK) as here:
        for _ in range(files.JOBS_OF_ONE_CALLER):
            await here.hand_over(samples()[0].path)
        with pytest.raises(AlreadyActive, match="of your files"):
            await here.hand_over(samples()[0].path)
        for number in range(files.JOBS_AT_WORK - files.JOBS_OF_ONE_CALLER):
            await here.hand_over(samples()[0].path, f":2.{number}")
        with pytest.raises(AlreadyActive, match="several programs"):
            await here.hand_over(samples()[0].path, OTHER)
        gate.set()
        await eventually(lambda: len(here.told.outcomes) == files.JOBS_AT_WORK, what="all texts")
        await here.outcome(await here.hand_over(samples()[0].path))


async def test_jobs_beyond_those_at_work_wait_in_the_order_in_which_they_came() -> None:
    gate = threading.Event()
    async with desk(lambda _: gate.wait(30)) as here:
        jobs = [await here.hand_over(samples()[0].path, f":2.{number}") for number in range(2 * files.JOBS_AT_WORK)]
        here.jobs.caller_left(f":2.{files.JOBS_AT_WORK + 1}")
        del jobs[files.JOBS_AT_WORK + 1]
        gate.set()
        await eventually(lambda: len(here.told.outcomes) == len(jobs), patience_s=120, what="all texts")
        told = list(here.told.outcomes)
        for number, job in enumerate(jobs):
            assert abs(told.index(job) - number) < files.JOBS_AT_WORK
        assert all(isinstance(outcome, FileTranscript) for outcome, _ in here.told.outcomes.values())


async def test_a_job_that_is_cancelled_when_a_step_has_just_ended_ends() -> None:
    """asyncio.wait_for of Python 3.11 returns the result then, and the cancellation is lost."""
    loop = asyncio.get_running_loop()
    step: asyncio.Future[int] = loop.create_future()
    work = loop.create_task(files._in_time(step, 30.0))
    await asyncio.sleep(0)
    step.set_result(1)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
