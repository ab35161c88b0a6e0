"""Polling for conditions that are not signalled."""

import asyncio
import math
from collections.abc import Callable

LOOK_S = 0.02


async def until(condition: Callable[[], bool], limit_s: float = math.inf) -> bool:
    """Return whether `condition` holds, as soon as it does or after `limit_s` seconds."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + limit_s
    while True:
        if condition():
            return True
        if loop.time() > deadline_s:
            return False
        await asyncio.sleep(LOOK_S)
