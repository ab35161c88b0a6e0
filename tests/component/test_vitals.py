"""The watchdog is fed while every promise is kept."""

import logging

import pytest

from coldvoxd.vitals import Vitals


def test_all_promises_kept_feed_the_watchdog() -> None:
    fed: list[str] = []
    vitals = Vitals({"capture": lambda _: True, "recognizer": lambda _: True}, lambda: fed.append("fed"))
    assert vitals.check(0.0)
    assert fed == ["fed"]


def test_one_broken_promise_starves_it_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    kept = True
    fed: list[str] = []
    vitals = Vitals({"capture": lambda _: True, "recognizer": lambda _: kept}, lambda: fed.append("fed"))
    kept = False
    with caplog.at_level(logging.ERROR):
        assert not vitals.check(1.0)
        assert not vitals.check(2.0)
    assert fed == []
    assert [record.getMessage() for record in caplog.records] == ["recognizer stands still; the watchdog is not fed"]
    kept = True
    assert vitals.check(3.0)
    assert fed == ["fed"]
