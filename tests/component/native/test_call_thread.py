"""A lane works for those who wait."""

import threading

from coldvoxd.native.call_thread import CallThread
from tests.support.eventually import eventually


async def test_a_call_that_nobody_waits_for_any_more_is_not_begun() -> None:
    lane, gate, ran = CallThread("test"), threading.Event(), list[str]()
    first = lane.submit(gate.wait)
    second = lane.submit(lambda: ran.append("cancelled"))
    third = lane.submit(lambda: ran.append("wanted"))
    second.cancel()
    gate.set()
    await first
    await third
    assert ran == ["wanted"]
    await eventually(lambda: lane.pending == 0)
    lane.close()
