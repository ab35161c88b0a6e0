"""The bus client that coldvoxctl uses."""

import pytest

from coldvoxd.bus.client import DaemonClient, Event
from coldvoxd.core.errors import InvalidOption, NotSupported
from tests.support.bus.private_bus import RunningService


async def test_the_owner_of_a_private_session_sees_one_end_of_it_the_one_with_the_text(running: RunningService) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon:
        assert await daemon.subscribe()
        for session in (1, 2):
            assert await daemon.start({"private": True}) == session
            running.control.say("a secret")
            assert await daemon.stop() == "a secret"
            events = [await daemon.next_event() for _ in range(3)]
            assert [event.name for event in events] == ["started", "transcribed", "stopped"]
            assert events[-1].fields == {"session": session, "reason": "stopped", "transcript": "a secret"}


async def test_an_interrupt_comes_after_what_had_come_before(running: RunningService) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon:
        await daemon.subscribe()
        await daemon.start()
        daemon.interrupt()
        assert [await daemon.next_event() for _ in range(2)] == [
            Event("started", {"session": 1}),
            Event("interrupted", {}),
        ]


async def test_signals_of_others_that_claim_to_be_the_daemon_are_not_believed(running: RunningService) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon, running.client() as liar:
        await daemon.subscribe()
        liar.signal_to(str(daemon._connection.unique_name), "DictationStarted", "u", 7)
        await liar.settle()
        await daemon.start()
        assert (await daemon.next_event()).fields == {"session": 1}


async def test_errors_come_back_as_what_they_were(running: RunningService) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon:
        with pytest.raises(InvalidOption, match="'nonsense'"):
            await daemon.start({"nonsense": True})
        with pytest.raises(NotSupported, match="'language'"):
            await daemon.start({"language": "de"})
