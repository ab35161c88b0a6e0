"""Signals and replies with a forged origin: any client of a bus can send them to any other."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

import pytest

from coldvoxd.bus.client import DaemonClient
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION
from coldvoxd.bus.library import Message, MessageType, Variant
from coldvoxd.bus.peers.portal import NAME, PATH, SESSION, Portal
from coldvoxd.bus.peers.screen_lock import ScreenLock
from tests.support.bus.library import MessageBus, close
from tests.support.bus.private_bus import BusClient, PrivateBus, RunningService
from tests.support.bus.raw import BUS, SIGNAL, RawClient, message, text
from tests.support.bus.screensaver import screen_saver
from tests.support.eventually import eventually

TRUE, FALSE = b"\1\0\0\0", b"\0\0\0\0"
PRIVATE = {"private": Variant("b", True)}


@pytest.fixture
async def forger(bus: PrivateBus) -> AsyncIterator[RawClient]:
    async with RawClient(bus.address) as raw:
        yield raw


@contextlib.asynccontextmanager
async def opened(bus: PrivateBus) -> AsyncIterator[Connection]:
    connection = await Connection.open(bus.address)
    try:
        yield connection
    finally:
        await connection.aclose()


async def sent_to(forger: RawClient, connection: Connection, signal: bytes) -> None:
    """Send the signal and return after the connection has handled it."""
    await forger.send(signal)
    await forger.send(message("Ping", to=str(connection.unique_name), serial=77))
    await forger.received(struct.pack("<I", 77))


def to(connection: Connection, member: str, interface: str, path: str, signature: str, body: bytes) -> bytes:
    return message(
        member,
        interface=interface,
        path=path,
        to=str(connection.unique_name),
        kind=SIGNAL,
        signature=signature,
        body=body,
    )


def strings(*values: str) -> bytes:
    """Return a message body with several strings."""
    body = b""
    for value in values:
        body += b"\0" * (-len(body) % 4) + text(value)
    return body


def owner_changed(connection: Connection, name: str, before: str, after: str) -> bytes:
    body = strings(name, before, after)
    return to(connection, "NameOwnerChanged", BUS, "/org/freedesktop/DBus", "sss", body)


@pytest.mark.parametrize("saver", ["org.gnome.ScreenSaver", "org.freedesktop.ScreenSaver", "org.xfce.ScreenSaver"])
async def test_only_the_screen_saver_locks_and_unlocks(
    running: RunningService, bus: PrivateBus, forger: RawClient, saver: str
) -> None:
    told: list[bool] = []
    connection, path = running.connection, f"/{saver.replace('.', '/')}"
    await ScreenLock(connection, told.append).watch()
    await sent_to(forger, connection, to(connection, "ActiveChanged", saver, path, "b", TRUE))
    assert told == []  # there is no screen saver service
    for _ in range(2):  # one that appears later, and one that is restarted
        async with screen_saver(bus.address, saver) as real:
            real.lock()
            await eventually(lambda: told == [True], what="the lock")
            await sent_to(forger, connection, to(connection, "ActiveChanged", saver, path, "b", FALSE))
            assert told == [True]
            real.unlock()
            await eventually(lambda: told == [True, False], what="the unlock")
        told.clear()


async def test_a_caller_that_is_said_to_have_left_has_not(
    running: RunningService, client: BusClient, forger: RawClient
) -> None:
    await client.call("StartDictationWithOptions", "a{sv}", PRIVATE)
    connection = running.connection
    await sent_to(forger, connection, owner_changed(connection, client.name, client.name, ""))
    assert running.control.left == []
    assert await client.get(DICTATION, "State") == "listening"


async def test_only_the_bus_says_that_the_portal_has_ended(bus: PrivateBus, forger: RawClient) -> None:
    gone: list[str] = []
    closed: list[object] = []
    async with opened(bus) as desktop, opened(bus) as connection:
        await desktop.ask_bus("RequestName", "su", NAME, 0)
        async with Portal.opened(connection) as portal:
            session = f"{PATH}/session/1"
            with (
                portal.when_gone(lambda: gone.append(NAME)),
                portal.listening(session, SESSION, "Closed", closed.append),
            ):
                name = str(desktop.unique_name)
                await sent_to(forger, connection, owner_changed(connection, NAME, name, ""))
                await sent_to(forger, connection, to(connection, "Closed", SESSION, session, "", b""))
                assert (gone, closed) == ([], [])
                signal = Message.new_signal(session, SESSION, "Closed")
                signal.destination = str(connection.unique_name)
                desktop.send(signal)
                await eventually(lambda: closed == [[]], what="the real one")
                await desktop.ask_bus("ReleaseName", "s", NAME)
                await eventually(lambda: gone == [NAME], what="the portal's end")


async def test_only_the_daemon_tells_a_client_what_was_said(
    running: RunningService, client: BusClient, forger: RawClient
) -> None:
    async with DaemonClient.connected(running.bus.address) as daemon:
        await daemon.subscribe()
        connection = daemon._connection
        await sent_to(forger, connection, to(connection, "SpeechStarted", DICTATION, "/org/coldvox/Daemon1", "u", TRUE))
        name = str(running.connection.unique_name)
        await sent_to(forger, connection, owner_changed(connection, BUS_NAME, name, ""))
        await client.call("StartDictation")
        assert (await daemon.next_event()).name == "started"


async def test_an_answer_counts_from_whom_was_asked_alone(bus: PrivateBus) -> None:
    name = "org.example.Slow"
    asked: list[Message] = []

    def note(message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL:
            return False
        asked.append(message)
        return True

    forger = await MessageBus(bus_address=bus.address).connect()
    slow = await MessageBus(bus_address=bus.address).connect()
    slow.add_message_handler(note)
    await slow.request_name(name)
    async with opened(bus) as connection:
        question = Message(destination=name, path="/", interface=name, member="Ask")
        answer = asyncio.ensure_future(connection.ask(question))
        call = await eventually(lambda: next(iter(asked), None), what="the call")
        assert call is not None
        for client, said in ((forger, "forged"), (slow, "right")):
            reply = Message.new_method_return(call, "s", [said])
            reply.serial = client.next_serial()
            await client.send(reply)
            if client is forger:
                await _through(client, connection)
        assert await answer == "right"
    for client in (forger, slow):
        await close(client)


async def _through(client: MessageBus, connection: Connection) -> None:
    ping = Message(destination=str(connection.unique_name), path="/", interface=f"{BUS}.Peer", member="Ping")
    reply = await client.call(ping)
    assert reply is not None
    assert reply.message_type is MessageType.METHOD_RETURN
