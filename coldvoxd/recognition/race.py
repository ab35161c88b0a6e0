"""A race: between a run that is late and another way to the same answer."""

import asyncio
from collections.abc import Awaitable

from coldvoxd.core.values import Hypothesis
from coldvoxd.recognition.worker import Run


async def first_valid(run: Run, other: Awaitable[Hypothesis]) -> Hypothesis:
    """The answer of a run that is late, or the other one, whichever comes first and is one.

    Raises the fault of `other` where neither is.
    """
    hedge = asyncio.ensure_future(other)
    racing: set[asyncio.Future[Hypothesis]] = {run.answer, hedge}
    try:
        while hedge in racing:
            done, racing = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
            if run.answer in done and not run.answer.cancelled() and run.answer.exception() is None:
                return run.answer.result()
            if hedge in done and (hedge.exception() is None or not racing):
                return hedge.result()
            if hedge in done:
                break
        await asyncio.wait({run.answer})
        return hedge.result() if run.answer.cancelled() or run.answer.exception() else run.answer.result()
    finally:
        hedge.cancel()
