"""Whether the screen is known to be unlocked, with a desktop's screen saver on a real bus."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from coldvoxd.bus.connection import Connection
from coldvoxd.host.lock_watch import LockWatch
from tests.support.bus.private_bus import PrivateBus
from tests.support.bus.screensaver import screen_saver
from tests.support.eventually import eventually


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@asynccontextmanager
async def watched(bus: PrivateBus, covers: list[str], *, release: bool = False) -> AsyncIterator[LockWatch]:
    """Follow the lock; `covers` gets `cover` for each lock, and `release` for each change that concerns the microphone."""
    connection = await Connection.open(bus.address)
    lock = LockWatch(
        connection, release, lambda locked: covers.append(f"release {locked}"), lambda: covers.append("cover")
    )
    beginning = asyncio.create_task(lock.begin())
    try:
        yield lock
    finally:
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        await connection.aclose()


async def test_a_lock_that_nothing_asked_for_is_not_followed(bus: PrivateBus) -> None:
    covers: list[str] = []
    async with screen_saver(bus.address) as saver, watched(bus, covers) as lock:
        assert not lock.wanted
        saver.lock()
        assert not lock.is_surely_unlocked(), "the first question makes it follow the lock"
        assert lock.wanted
        await eventually(lambda: covers == ["cover"], what="the lock that was there before")
        assert not lock.is_surely_unlocked()


async def test_an_answer_that_is_older_than_a_change_is_not_taken(bus: PrivateBus) -> None:
    covers: list[str] = []
    async with screen_saver(bus.address, active=True) as saver, watched(bus, covers) as lock:
        saver.unlocks_when_asked = True
        await eventually(lock.is_surely_unlocked, what="an unlocked screen")


async def test_the_answer_follows_the_lock_and_the_microphone_is_left_alone(bus: PrivateBus) -> None:
    covers: list[str] = []
    async with screen_saver(bus.address) as saver, watched(bus, covers) as lock:
        await eventually(lock.is_surely_unlocked, what="an unlocked screen")
        saver.lock()
        await eventually(lambda: not lock.is_surely_unlocked(), what="a locked screen")
        assert covers == ["cover"]
        saver.unlock()
        await eventually(lock.is_surely_unlocked, what="an unlocked screen")
        lock.use_settings(True)
        saver.lock()
        await eventually(lambda: covers == ["cover", "cover", "release True"], what="both")


async def test_without_a_screen_saver_there_is_no_lock(bus: PrivateBus) -> None:
    async with watched(bus, []) as lock:
        await eventually(lock.is_surely_unlocked, what="an answer of the bus")
