"""A call thread works only for waiting callers."""

import threading

from coldvoxd.native.call_thread import CallThread


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
    lane.close()
