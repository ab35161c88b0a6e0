"""TranscribeFile as programs use it: descriptors over the bus, texts only to the caller, with the bundled model."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from coldvoxd.bus.library import Variant
from coldvoxd.bus.sending import Writer
from coldvoxd.core import errors
from coldvoxd.core.file_values import FileTranscript
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import BusClient, BusError, PrivateBus, RunningService
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

WORDS = {"words": Variant("b", True)}


@pytest.fixture
async def running(bus: PrivateBus) -> AsyncIterator[RunningService]:
    async with transcribing(bus) as running:
        yield running


async def hand_over(client: BusClient, path: Path, options: dict[str, Variant] | None = None) -> int:
    with path.open("rb") as file:
        return int(await client.call("TranscribeFile", "ha{sv}", 0, options or {}, descriptors=[file.fileno()]))


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_file_over_the_bus(client: BusClient) -> None:
    async with client.expect_signal("FileTranscribed") as ended:
        job = await hand_over(client, samples()[0].path, WORDS)
    assert ended.signal is not None
    assert ended.signal.destination == client.name
    assert ended.body[:2] == [job, samples()[0].heard["fp32"]]
    details = ended.body[2]
    assert {key: value.signature for key, value in details.items()} == {
        "duration": "d",
        "confidence": "d",
        "words": "a(sddd)",
    }
    assert details["duration"].value == pytest.approx(len(samples()[0].wave()) / 16_000)
    assert [word[0] for word in details["words"].value] == ended.body[1].split()
    assert client.bodies("FileProgress")[-1] == [job, 1.0]


async def test_nobody_else_reads_it_and_nobody_need_subscribe(running: RunningService, stranger: BusClient) -> None:
    async with running.client() as owner:
        async with owner.expect_signal("FileTranscribed"):
            await hand_over(owner, samples()[0].path)
        await stranger.settle()
    assert stranger.bodies("FileTranscribed") == stranger.bodies("FileProgress") == []


@pytest.mark.parametrize(
    ("channel", "complaint"),
    [
        (Variant("s", "middle"), "The option 'channel' must be auto, mix, left, right or .*, not 'middle'"),
        (Variant("s", "0"), "The option 'channel' must be auto"),
        (Variant("u", 1), r"The option 'channel' must be a text \(s\)"),
        (Variant("s", "right"), "The file has 1 channel, and channel is right: set it to auto, mix or 1"),
    ],
)
async def test_a_channel_that_cannot_be_had_is_answered_by_name(
    client: BusClient, channel: Variant, complaint: str
) -> None:
    with pytest.raises(BusError, match=f"InvalidOption.*{complaint}"):
        await hand_over(client, samples()[0].path, {"channel": channel})
    async with client.expect_signal("FileTranscribed") as ended:
        await hand_over(client, samples()[0].path, {"channel": Variant("s", "left")})
    assert ended.body[1] == samples()[0].heard["fp32"]


async def test_what_is_no_file_is_answered_by_name(client: BusClient, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    ours, its = socket.socketpair()
    animals = {
        "a directory": os.open(tmp_path, os.O_RDONLY),
        "a socket": ours.detach(),
        "a pipe": os.open(tmp_path / "fifo", os.O_RDWR),
        "a device": os.open("/dev/zero", os.O_RDONLY),
    }
    for said, descriptor in animals.items():
        with pytest.raises(BusError, match=f"InvalidOption.*{said}"):
            await client.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[descriptor])
        os.close(descriptor)
    its.close()
    with pytest.raises(BusError, match=r"InvalidOption.*no file descriptor"):
        await client.call("TranscribeFile", "ha{sv}", 3, {}, descriptors=[])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"word": Variant("b", True)}, "InvalidOption"),
        ({"words": Variant("s", "yes")}, "InvalidOption"),
        ({"language": Variant("s", "german")}, "NotSupported"),
        ({"vocabulary": Variant("as", [])}, "NotSupported"),
    ],
)
async def test_wrong_options_begin_no_job(client: BusClient, options: dict[str, Variant], error: str) -> None:
    with pytest.raises(BusError, match=error):
        await hand_over(client, samples()[0].path, options)


async def test_descriptors_are_closed_whatever_they_came_with(client: BusClient, tmp_path: Path) -> None:
    await client.settle()
    before = open_descriptors()
    with (tmp_path / "any").open("w+b") as file:
        for _ in range(10):
            given = [file.fileno()] * 3
            with pytest.raises(BusError):
                await client.call("TranscribeFile", "ha{sv}", 1, {}, descriptors=given)
            with pytest.raises(BusError):
                await client.call("NoSuchMethod", "h", 0, descriptors=given)
            await client.call("StartDictation", descriptors=given)
            await client.call("CancelDictation", descriptors=given)
            with pytest.raises(BusError):
                await hand_over(client, tmp_path / "any", {"no": Variant("b", True)})
    await eventually(lambda: open_descriptors() <= before, what="all descriptors closed")


async def test_a_job_is_cancelled_by_its_owner_alone(running: RunningService, client: BusClient) -> None:
    async with running.client() as other:
        job = await hand_over(client, samples()[0].path)
        with pytest.raises(BusError, match=r"NotOwner|NotActive"):
            await other.call("CancelFile", "u", job)
    with pytest.raises(BusError, match="NotActive"):
        await client.call("CancelFile", "u", job + 1)


async def test_jobs_of_a_caller_that_left_are_gone(running: RunningService, stranger: BusClient) -> None:
    before = open_descriptors()
    async with running.client() as caller:
        for _ in range(3):
            await hand_over(caller, samples()[0].path)
        await caller.leave()
    await eventually(lambda: not running.service._file_calls._owners, what="the end of its jobs")
    assert running.service._file_calls._callers._watches == {}
    await eventually(lambda: open_descriptors() <= before, what="all descriptors closed")
    async with stranger.expect_signal("FileTranscribed"):
        await hand_over(stranger, samples()[1].path)


async def test_a_caller_that_does_not_wait_for_the_answer_leaves_nothing_behind(running: RunningService) -> None:
    before = open_descriptors()
    for _ in range(5):
        async with running.client() as caller:
            hasty = asyncio.ensure_future(hand_over(caller, samples()[0].path))
            await asyncio.sleep(0)
        hasty.cancel()
    await eventually(lambda: not running.service._file_calls._owners, what="the end of its jobs")
    await eventually(lambda: open_descriptors() <= before, what="all descriptors closed")


async def test_a_damaged_file_comes_with_warnings(client: BusClient, tmp_path: Path) -> None:
    content = samples()[0].path.read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) * 2 // 3])
    async with client.expect_signal("FileTranscribed") as ended:
        await hand_over(client, tmp_path / "cut.flac")
    details = ended.body[2]
    assert details["warnings"].signature == "as"
    assert details["warnings"].value[0].startswith("The file ends at 0:0")
    assert ended.body[1].startswith(samples()[0].heard["fp32"].split()[0])


async def test_a_failed_job_tells_its_error(running: RunningService, client: BusClient) -> None:
    running.announcer.file_transcribed(7, errors.FileFault("The file is \0 damaged."), with_words=True, to=client.name)
    running.announcer.file_transcribed(8, FileTranscript("x", (), 2.0, 0.5), with_words=False, to=client.name)
    await client.settle()
    failed, done = client.bodies("FileTranscribed")
    assert failed[:2] == [7, ""]
    assert {key: value.value for key, value in failed[2].items()} == {
        "error": "org.coldvox.Error.Failed",
        "message": "The file is  damaged.",
    }
    assert sorted(done[2]) == ["confidence", "duration"]


async def test_a_descriptor_waits_with_its_message_for_a_socket_that_is_full(tmp_path: Path) -> None:
    lost: list[OSError] = []
    ours, its = socket.socketpair()
    with ours, its, (tmp_path / "any").open("w+b") as file:
        ours.setblocking(False)
        its.setblocking(False)
        writer, loop = Writer(ours, lost.append), asyncio.get_running_loop()
        stuffed = bytes(1 << 22)
        writer.post(stuffed)
        sent = writer.send(b"call", [file.fileno()])
        after = writer.send(b"next")
        await loop.sock_recv(its, 1)  # the event loop has written what fits
        assert writer.backlog == 3
        left = len(stuffed) - 1
        while left:
            left -= len(await loop.sock_recv(its, left))
        await sent
        data, descriptors, _, _ = socket.recv_fds(its, 4, 4)
        assert (data, len(descriptors)) == (b"call", 1)
        assert os.fstat(descriptors[0]).st_ino == os.fstat(file.fileno()).st_ino
        os.close(descriptors[0])
        await after
        assert socket.recv_fds(its, 16, 4)[:2] == (b"next", []), "sent once"
        assert (writer.backlog, lost) == (0, [])


async def test_messages_for_a_socket_that_fails_are_failed() -> None:
    lost: list[OSError] = []
    ours, its = socket.socketpair()
    with ours:
        ours.setblocking(False)
        writer = Writer(ours, lost.append)
        its.close()
        sent = writer.send(b"call")
        await eventually(lambda: lost, what="the failure")
        assert not sent.done()
        writer.close(lost[0])
        with pytest.raises(BrokenPipeError):
            await sent
        assert writer.backlog == 0
