"""Waiting for what must come, with a deadline that only a broken program reaches."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 60.0


async def eventually(probe: Callable[[], T], *, patience_s: float = PATIENCE_S, what: str = "") -> T:
    """The first true answer of `probe`, asked 50 times a second on the loop."""
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
    """The same where the probe has to be awaited."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = await probe()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not come within {patience_s:g} s: {what or probe}; last seen: {answer!r}")
        await asyncio.sleep(0.02)


def eventually_blocking(probe: Callable[[], T], *, patience_s: float = PATIENCE_S, what: str = "") -> T:
    """The same without a loop."""
    deadline_s = time.monotonic() + patience_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not come within {patience_s:g} s: {what or probe}; last seen: {answer!r}")
        time.sleep(0.02)
