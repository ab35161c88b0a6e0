"""The bus client that coldvoxctl uses."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.client_events import Event
from coldvoxd.cli.exit_codes import Exit, error_name, exit_for
from coldvoxd.core.errors import CallTimeout, InvalidOption, NotSupported
from tests.support.bus.private_bus import PrivateBus, RunningService

ROOT = Path(__file__).parents[3]


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
        with pytest.raises(NotSupported, match="'german'"):
            await daemon.start({"language": "german"})


OWNER = """
import asyncio, sys
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME

async def main():
    connection = await Connection.open(sys.argv[1])
    await connection.ask_bus("RequestName", "su", BUS_NAME, 0)
    print("owned", flush=True)
    await connection.wait_until_lost()

asyncio.run(main())
"""


async def test_a_daemon_that_is_stopped_is_reported_with_what_to_do(bus: PrivateBus) -> None:
    command = [sys.executable, "-c", OWNER, bus.address]
    owner = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert await owner.stdout.readline() == b"owned\n"
        owner.send_signal(signal.SIGSTOP)
        async with DaemonClient.connected(bus.address, limit_s=0.2) as daemon:
            for call in (daemon.status, daemon.metrics, daemon.listening, daemon.stop, daemon.toggle, daemon.reload):
                with pytest.raises(CallTimeout) as raised:
                    await call()
                assert str(raised.value) == (
                    "coldvoxd did not answer within 0.2 s: restart it (`systemctl --user restart coldvoxd`)."
                )
                assert (exit_for(raised.value), error_name(raised.value)) == (Exit.TIMEOUT, "Timeout")
    finally:
        owner.kill()
        await owner.communicate()
