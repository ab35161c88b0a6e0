"""Abuse of the bus by a client: other clients are unaffected, and the daemon keeps no resources for it."""

import asyncio
import gc
import logging
import os
import struct
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE, OBJECT_PATH
from coldvoxd.bus.library import Variant
from coldvoxd.bus.quota import SENDERS_KEPT
from coldvoxd.bus.replies import LONGEST_TEXT
from tests.support.bus.private_bus import BusClient, BusError, RunningService
from tests.support.bus.raw import NO_REPLY, RawClient, message, text
from tests.support.eventually import eventually

PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
LONG = 200 * 1024
PENDING = 1000
COME_AND_GO = 200


@pytest.fixture(autouse=True)
def nothing_is_logged_as_a_fault(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A client must not be able to fill the journal."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def answered(serial: int) -> bytes:
    """Return bytes that the reply to the call with this serial number contains."""
    return struct.pack("<I", serial)


async def error_of(call: Awaitable[object]) -> BusError | None:
    """Return the error name of the reply; None for a method return."""
    try:
        await call
    except BusError as error:
        return error
    return None


@pytest.fixture(autouse=True)
def no_garbage() -> None:
    """Close what earlier tests left to the garbage collector, which may run in the middle of a count."""
    gc.collect()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def serves(client: BusClient) -> None:
    """Check that dictation works."""
    session = await client.call("StartDictation")
    assert session
    assert await client.call("StopDictation") == ""


@pytest.mark.parametrize(
    ("interface", "member", "signature", "body"),
    [
        (PROPERTIES, "Set", "ssv", [DICTATION, "State", Variant("s", "idle")]),
        (PROPERTIES, "Set", "ssv", [ENGINE, "Model", Variant("au", [1] * 10_000)]),
        (PROPERTIES, "Set", "ssv", [MICROPHONE, "Nothing", Variant("s", "x" * LONG)]),
        (PROPERTIES, "Set", "ss", [DICTATION, "State"]),
        (PROPERTIES, "Get", "s", [DICTATION]),
        (PROPERTIES, "Get", "ss", ["x" * LONG, "y"]),
        (PROPERTIES, "Get", "ss", ["", ""]),
        (PROPERTIES, "Get", "ss", [PROPERTIES, "State"]),
        (PROPERTIES, "GetAll", "s", ["org.example.Nothing"]),
        (PROPERTIES, "GetAll", "s", ["é" * (LONG // 2)]),
        (PROPERTIES, "GetAll", "", []),
        (PROPERTIES, "Nothing", "", []),
        (INTROSPECTABLE, "Introspect", "s", ["x"]),
        (PEER, "Nothing", "s", ["x" * LONG]),
        ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", []),
        (DICTATION, "StartDictationWithOptions", "a{sv}", [{"x" * LONG: Variant("s", "y")}]),
        (DICTATION, "StartDictationWithOptions", "a{sv}", [{"private": Variant("aaaaaas", [])}]),
        (DICTATION, "StartDictation", "s", ["x" * LONG]),
        (ENGINE, "SetProvider", "s", ["x" * LONG]),
        (MICROPHONE, "SelectDevice", "s", ["x" * LONG]),
    ],
)
async def test_a_call_that_can_not_be_served_is_an_error_of_bounded_length(
    client: BusClient, interface: str, member: str, signature: str, body: list[object]
) -> None:
    error = await error_of(client.call(member, signature, *body, interface=interface))
    assert error is None or error.name != "org.coldvox.Error.Failed"
    assert error is None or len(error.message) <= LONGEST_TEXT
    await serves(client)


@pytest.mark.parametrize("path", ["/", "/org", "/a" * 30_000, "/" + "a" * 60_000])
@pytest.mark.parametrize(("interface", "member"), [(INTROSPECTABLE, "Introspect"), (PEER, "Ping"), (DICTATION, "X")])
async def test_any_path_is_answered(client: BusClient, path: str, interface: str, member: str) -> None:
    error = await error_of(client.call(member, interface=interface, path=path))
    assert error is None or len(error.message) <= LONGEST_TEXT
    await serves(client)


@pytest.mark.parametrize(("index", "files"), [(0, 0), (1, 1), (7, 2), (0xFFFFFFFF, 1)])
async def test_a_file_that_did_not_come_with_the_call_is_an_error_of_the_caller(
    client: BusClient, index: int, files: int, tmp_path: Path
) -> None:
    before = open_files()
    with (tmp_path / "file").open("wb") as file, pytest.raises(BusError) as error:
        await client.call("TranscribeFile", "ha{sv}", index, {}, descriptors=[file.fileno()] * files)
    assert error.value.name == "org.coldvox.Error.InvalidOption"
    await client.settle()
    await eventually(lambda: open_files() == before, what="the closing of the files")
    await serves(client)


@pytest.mark.parametrize(
    "bad",
    [
        message("StartDictation", interface=DICTATION, serial=0),
        message("Ping", interface=PEER, serial=0, flags=NO_REPLY),
        message("SelectDevice", interface=MICROPHONE, serial=7, signature="s", body=struct.pack("<I", 3) + b"a\0b\0"),
        message(
            "SelectDevice", interface=MICROPHONE, serial=7, signature="s", body=struct.pack("<I", 2) + b"\xc3\x28\0"
        ),
        message("SelectDevice\0", interface=MICROPHONE, serial=7),
        message("Ping", interface=PEER, serial=7, kind=0),
        message("Ping", interface=PEER, serial=7, path="no path"),
        message("Ping", interface=PEER, serial=7, path=OBJECT_PATH + "/"),
        message("Ping", interface="x" * 300 + ".y", serial=7),
        message("Ping", interface=PEER, serial=7, signature="a" * 40 + "y", body=bytes(4)),
        message("Ping", interface=PEER, serial=7, more=[(5, "u", 3), (5, "u", 4)]),
        message("Ping", interface=PEER, serial=7, more=[(7, "s", "org.freedesktop.DBus")]),
    ],
)
async def test_a_message_that_the_specification_forbids_harms_its_sender_at_most(
    running: RunningService, client: BusClient, bad: bytes
) -> None:
    async with RawClient(running.bus.address) as raw:
        await raw.send(bad)
        try:
            await raw.send(message("Ping", serial=8))
            await raw.received(answered(8))
        except (AssertionError, OSError):
            pass  # the bus has disconnected it
    await serves(client)


@pytest.mark.parametrize(
    ("interface", "member", "signature", "body"),
    [
        (DICTATION, "StopDictation", "", b""),
        (DICTATION, "StartDictationWithOptions", "a{sv}", bytes(8)),
        (DICTATION, "RetryLast", "", b""),
        (DICTATION, "TranscribeFile", "ha{sv}", bytes(8)),
        (DICTATION, "Nothing", "", b""),
        (ENGINE, "GetMetrics", "", b""),
        (PROPERTIES, "GetAll", "s", text(DICTATION)),
        (PROPERTIES, "GetAll", "s", text("nothing")),
        (INTROSPECTABLE, "Introspect", "", b""),
        (PEER, "GetMachineId", "", b""),
    ],
)
async def test_a_call_that_expects_no_reply_gets_none(
    running: RunningService, client: BusClient, interface: str, member: str, signature: str, body: bytes
) -> None:
    async with RawClient(running.bus.address) as raw:
        call = message(member, interface=interface, serial=0x7A7A7A7A, flags=NO_REPLY, signature=signature, body=body)
        await raw.send(call * 20)
        await raw.send(message("Ping", serial=8))
        assert answered(0x7A7A7A7A) not in await raw.received(answered(8))
    if member == "StartDictationWithOptions":
        await client.call("StopDictation")
    await serves(client)


async def test_calls_that_stay_pending_delay_no_other_client(running: RunningService, client: BusClient) -> None:
    running.control.text_pending = asyncio.Event()
    await client.call("StartDictation")
    tasks = len(asyncio.all_tasks())
    async with RawClient(running.bus.address) as raw:
        await raw.send(b"".join(message("StopDictation", interface=DICTATION, serial=n) for n in range(1, PENDING)))
        await client.settle()
        await eventually(lambda: len(asyncio.all_tasks()) > tasks + 100, what="the pending calls")
        assert await client.get(DICTATION, "State") == "transcribing"
    await client.settle()
    running.control.text_pending.set()
    running.control.text_pending = None
    intake = running.connection._intake
    await eventually(
        lambda: not intake.waiting and len(asyncio.all_tasks()) <= tasks, what="the end of the pending calls"
    )
    await serves(client)


async def test_clients_that_call_and_disconnect_leave_no_resources(
    running: RunningService, client: BusClient, tmp_path: Path
) -> None:
    connection = running.connection
    file = tmp_path / "file"
    file.touch()
    await client.settle()
    before = open_files()
    with file.open() as opened:
        for number in range(COME_AND_GO):
            async with RawClient(running.bus.address) as raw:
                if number % 2:
                    call = message(
                        "TranscribeFile", interface=DICTATION, signature="ha{sv}", body=bytes(8), descriptors=1
                    )
                    await raw.send_with(call, [opened.fileno()])
                else:
                    entry = text("bind-to-caller") + b"\1b\0" + b"\0" * 2 + b"\1\0\0\0"
                    body = struct.pack("<II", len(entry), 0) + entry
                    await raw.send(
                        message("StartDictationWithOptions", interface=DICTATION, signature="a{sv}", body=body)
                    )
    await client.settle()
    await eventually(lambda: not running.control.session, what="the end of the last bound session")
    for job, (_, descriptor, _) in list(running.control.files.items()):
        os.close(descriptor)
        del running.control.files[job]
        running.announcer.file_ended(job)
    await client.settle()
    await eventually(lambda: open_files() == before, what="the closing of the files")
    await eventually(lambda: not connection.signals._followed, what="the end of all watches")
    await eventually(lambda: not connection._asked, what="all answers")
    assert len(connection._intake._calls._senders) <= 2 * SENDERS_KEPT
    await serves(client)


async def test_replies_to_calls_of_others_are_dropped(running: RunningService, client: BusClient) -> None:
    """Replies are sent for every serial number that the daemon may use next. dbus-broker passes on none of them."""
    connection = running.connection
    to = str(connection.unique_name)
    replies = b"".join(
        message("Any", to=to, kind=kind, serial=n, more=[(5, "u", n), (4, "s", "org.example.Error")])
        for n in range(1, 3000)
        for kind in (2, 3)
    )
    async with RawClient(running.bus.address) as raw:
        sending = asyncio.create_task(raw.send(replies))
        for _ in range(50):
            assert len(await running.connection.bus_id()) == 32
            assert await running.connection.is_connected(to)
        await sending
    await serves(client)


async def test_a_client_that_never_reads_delays_no_other_client(running: RunningService, client: BusClient) -> None:
    calls = b"".join(message("Introspect", interface=INTROSPECTABLE, serial=n) for n in range(1, 2000))
    async with RawClient(running.bus.address) as raw:
        await raw.send(calls)
        running.control.toggle(":1.1", 0.0)
        for number in range(200):
            running.control.say(f"words {number}")
        await eventually(lambda: len(client.bodies("Transcribed")) == 200, what="all words")
        running.control.toggle(":1.1", 0.0)
        await serves(client)
    await eventually(lambda: running.connection.backlog == 0, what="an empty queue")
