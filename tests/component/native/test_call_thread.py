"""A call thread works only for waiting callers."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from coldvoxd.core.errors import CaptureFault
from coldvoxd.native.call_thread import CallThread, abandon


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


@pytest.mark.parametrize("is_late", [True, False])
async def test_the_error_of_an_abandoned_call_is_not_reported_as_never_retrieved(is_late: bool) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    lane, gate = CallThread("test"), threading.Event()

    def fail() -> None:
        gate.wait()
        raise CaptureFault("the server has gone")

    failing = lane.submit(fail)
    if not is_late:
        gate.set()
        await asyncio.wait({failing})
    abandon(failing)
    del failing
    gate.set()
    await lane.submit(lambda: None)
    gc.collect()
    assert reported == []
    lane.close()
