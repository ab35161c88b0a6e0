"""The watchdog is notified while every promise is kept."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from coldvoxd.host.watchdog import Watchdog
from tests.support.eventually import eventually


def test_all_promises_kept_feed_the_watchdog() -> None:
    fed: list[str] = []
    vitals = Watchdog({"capture": lambda _: True, "recognizer": lambda _: True}, lambda: fed.append("fed"))
    assert vitals.check(0.0)
    assert fed == ["fed"]


def test_one_broken_promise_starves_it_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    kept = True
    fed: list[str] = []
    vitals = Watchdog({"capture": lambda _: True, "recognizer": lambda _: kept}, lambda: fed.append("fed"))
    kept = False
    with caplog.at_level(logging.ERROR):
        assert not vitals.check(1.0)
        assert not vitals.check(2.0)
    assert fed == []
    assert [record.getMessage() for record in caplog.records] == [
        "recognizer is stalled; the watchdog is no longer notified"
    ]
    kept = True
    assert vitals.check(3.0)
    assert fed == ["fed"]


async def test_a_promise_that_was_broken_for_a_moment_does_not_starve_it_until_the_next_interval() -> None:
    """The watchdog's limit is two intervals: it would kill a process that was paused for 2 s at the wrong moment."""
    fed: list[str] = []
    answers: Iterator[bool] = iter([True, False])
    vitals = Watchdog({"capture": lambda _: next(answers, True)}, lambda: fed.append("fed"))
    vitals.check(0.0)
    running = asyncio.create_task(vitals.run(3600.0))
    await eventually(lambda: len(fed) == 2, patience_s=20.0, what="a watchdog notification after a broken promise")
    running.cancel()
