"""dbus-broker disconnects a client of a user whose quota is used up; that client may be the daemon."""

import array
import asyncio
import fcntl
import termios
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.support.bus import broker
from tests.support.bus.private_bus import BROKER, BusClient, PrivateBus
from tests.support.bus.raw import NO_REPLY, RawClient, message
from tests.support.daemon.process import daemon, default_settings
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not broker.is_installed(), reason="dbus-broker is not installed"),
]
QUOTA_BYTES = 2_000_000
MESSAGES = 10_000
"""Far more signals than fit into the quota; the broker charges over 500 bytes for each."""
SAVER = "org.xfce.ScreenSaver"
"""A name whose owner the daemon follows."""


@asynccontextmanager
async def used_up(bus: PrivateBus) -> AsyncIterator[None]:
    """Use up the user's quota with messages that a client does not read."""
    async with BusClient(bus.address) as deaf, RawClient(bus.address) as sender:
        with deaf.deaf():
            await sender.send(message("X", to=deaf.name, flags=NO_REPLY) * MESSAGES)
            unread = array.array("i", [1])

            def taken() -> bool:
                fcntl.ioctl(sender._sock.fileno(), termios.TIOCOUTQ, unread)
                return unread[0] == 0

            await eventually(taken, what="the broker's reading of all messages")
            yield


async def test_a_disconnected_daemon_ends_for_a_restart_that_brings_every_word(tmp_path: Path) -> None:
    sample = samples()[1]
    with PrivateBus(kind=BROKER, broker_options=("--max-bytes", str(QUOTA_BYTES))) as bus:
        runtime = tmp_path / "runtime"
        runtime.mkdir(mode=0o700)
        bus.extra_environment["RUNTIME_DIRECTORY"] = str(runtime)
        settings = default_settings(bus.directory / "mic").replace("[model]", "release_on_lock = true\n[model]")
        settings += "[endpoint]\nhangover_ms = 5000\n"  # the utterance is still open at the end
        async with daemon(bus, tmp_path, settings, exit_code=1) as running:
            async with AsyncExitStack() as stack:
                saver = await stack.enter_async_context(BusClient(bus.address))
                client = await stack.enter_async_context(BusClient(bus.address))
                await saver._bus.request_name(SAVER)
                session = await client.call("StartDictation")
                async with used_up(bus):
                    await asyncio.to_thread(running.begin_to_speak, sample)
                    await saver.leave()  # the bus notifies the daemon of their owners
                    assert await asyncio.to_thread(running.process.wait, 30) == 1
            assert "The connection to the session bus was lost" in running.log
        async with BusClient(bus.address) as listener:
            await listener.subscribe("Transcribed", "DictationStopped")
            async with daemon(bus, tmp_path, settings):
                texts = await eventually(lambda: listener.bodies("Transcribed"), what="the text of the session")
                assert [body[0] for body in texts] == [session]
                assert texts[0][2] == sample.heard["fp32"]
