"""Waits for an expected condition, with a deadline that only a broken program reaches."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0


async def eventually(probe: Callable[[], T], *, patience_s: float = PATIENCE_S, what: str = "") -> T:
    """Return the first true result of `probe`, polled 50 times per second on the loop."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not come within {patience_s:g} s: {what or probe}; last seen: {answer!r}")
        await asyncio.sleep(0.02)


async def eventually_answered(
    probe: Callable[[], Awaitable[T]], *, patience_s: float = PATIENCE_S, what: str = ""
) -> T:
    """Return the first true result of an asynchronous `probe`."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = await probe()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not come within {patience_s:g} s: {what or probe}; last seen: {answer!r}")
        await asyncio.sleep(0.02)


def eventually_blocking(probe: Callable[[], T], *, patience_s: float = PATIENCE_S, what: str = "") -> T:
    """Return the first true result of `probe`, polled without a loop."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not come within {patience_s:g} s: {what or probe}; last seen: {answer!r}")
        time.sleep(0.02)
