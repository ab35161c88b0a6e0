"""The desktop's small programs, as coldvox-type starts and ends them."""

import asyncio
import logging
import os
import time

import pytest

from coldvoxd.typist.programs import start


async def test_a_program_whose_start_is_cancelled_ends_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """It may have ended by itself at any moment, of which asyncio's watcher and asyncio's start both take notice."""
    cancelled = 0
    with caplog.at_level(logging.WARNING):
        for number in range(120):
            starting = asyncio.ensure_future(start("true", environment=dict(os.environ)))
            for _ in range(number % 9 + 1):
                await asyncio.sleep(0)
            if number % 2:
                time.sleep(0.02)  # the program ends meanwhile
            starting.cancel()
            try:
                await (await starting).wait()
            except asyncio.CancelledError:
                cancelled += 1
    assert cancelled
    assert not caplog.messages
