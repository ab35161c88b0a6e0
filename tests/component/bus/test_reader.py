"""The reader on a real socket: fragmented streams, damaged streams, file descriptors."""

import gc
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.bus.header import LARGEST_MESSAGE_BYTES, Malformed, Type
from coldvoxd.bus.intake import LARGEST_CALL_BYTES, MESSAGES_A_TURN, TOO_LONG, TOO_MANY, Intake
from coldvoxd.bus.library import Message
from coldvoxd.bus.quota import BURST, WAITING, Call
from coldvoxd.bus.reader import LARGEST_HEADER_BYTES, READ_BYTES, Frame, Head, Reader, close_all
from tests.support.bus.wire import EXACT, MEMBER, PATH, SIGNAL, big_endian, encoded, flood_call, messages

UNKNOWN = encoded([(PATH, "o", "/"), (200, "a{sv}", {})], kind=77, body=b"of a later version")
MIXED = [
    flood_call(":1.1", 1, answered=True),
    UNKNOWN,
    big_endian([(PATH, "o", "/"), (MEMBER, "s", "Ping")], serial=2, body=b"body"),
    encoded([], kind=SIGNAL),
    flood_call(":1.2", 3, body=struct.pack("<I", 40) + bytes(40)),
]
"""Complete messages, some of which would end a library's reader."""


def open_descriptors() -> set[int]:
    """Return the open descriptors of this process, including the one used to list them."""
    return {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def no_garbage() -> None:
    """Close what earlier tests left to the garbage collector, which may run in the middle of a count."""
    gc.collect()


def open_files() -> int:
    return len(open_descriptors())


@contextmanager
def connected() -> Iterator[tuple[socket.socket, Reader]]:
    """Yield the bus's end of a socket and a reader on the other; check that no descriptor leaks."""
    before = open_descriptors()
    bus, ours = socket.socketpair()
    ours.setblocking(False)
    reader = Reader(ours)
    with bus, ours, closing(reader):
        yield bus, reader
    assert open_descriptors() <= before  # garbage of earlier tests may have closed others meanwhile


def send(bus: socket.socket, data: bytes, contents: tuple[bytes, ...] = ()) -> None:
    """Send the data with one file for each of the contents."""
    descriptors = [os.memfd_create("content") for _ in contents]
    for descriptor, content in zip(descriptors, contents, strict=True):
        os.write(descriptor, content)
    sent = socket.send_fds(bus, [data], descriptors) if descriptors else 0
    close_all(descriptors)
    bus.sendall(data[sent:])


def contents(frame: Frame) -> tuple[bytes, ...]:
    """Return the contents of the frame's files, and close them."""
    found = tuple(os.pread(descriptor, 100, 0) for descriptor in frame.descriptors)
    close_all(frame.descriptors)
    return found


def taken(reader: Reader) -> list[bytes]:
    """Return all messages that have arrived completely."""
    found = []
    while reader.head() and (frame := reader.take()):
        close_all(frame.descriptors)
        found.append(frame.data)
    return found


def test_a_stream_may_be_cut_at_every_byte() -> None:
    stream = b"".join(MIXED)
    for cut in range(1, len(stream)):
        with connected() as (bus, reader):
            found = []
            for part in (stream[:cut], stream[cut:]):
                bus.sendall(part)
                assert reader.fill()
                found += taken(reader)
            assert found == MIXED


def test_a_stream_may_come_one_byte_at_a_time() -> None:
    with connected() as (bus, reader):
        found = []
        for byte in b"".join(MIXED):
            bus.sendall(bytes((byte,)))
            assert reader.fill()
            found += taken(reader)
        assert found == MIXED
        assert not reader.fill()


@dataclass
class Wishes:
    """Takes or skips messages in turn."""

    take: list[bool]
    found: list[tuple[bytes, tuple[bytes, ...]]] = field(default_factory=list)

    def read(self, reader: Reader) -> None:
        while head := reader.head():
            if not self.take[0]:
                reader.skip()
            elif frame := reader.take():
                assert frame.fields == head.fields
                assert frame.complete
                self.found.append((frame.data, contents(frame)))
            else:
                return
            self.take.pop(0)


@EXACT
@given(st.lists(st.tuples(messages(), st.booleans()), min_size=1, max_size=8), st.data())
def test_messages_and_their_files_are_taken_or_skipped_in_any_pieces(
    chosen: list[tuple[Message, bool]], data: st.DataObject
) -> None:
    whole = [bytes(message._marshall(negotiate_unix_fd=True)) for message, _ in chosen]
    files = [tuple(b"%d of %d" % (n, at) for n in range(len(one.unix_fds))) for at, (one, _) in enumerate(chosen)]
    wishes = Wishes([take for _, take in chosen])
    with connected() as (bus, reader):
        for message, descriptors in zip(whole, files, strict=True):
            cut = data.draw(st.integers(1, len(message)))
            send(bus, message[:cut], descriptors)
            if data.draw(st.booleans()):
                reader.fill()
                wishes.read(reader)
            bus.sendall(message[cut:])
        while reader.fill():
            wishes.read(reader)
    assert wishes.take == []
    assert wishes.found == [
        (message, descriptors) for message, descriptors, (_, take) in zip(whole, files, chosen, strict=True) if take
    ]


@pytest.mark.parametrize(("declared", "sent"), [(0, 3), (1, 3), (3, 1), (3, 0), (253, 2)])
def test_files_that_a_header_does_not_count_are_closed_and_missing_ones_reported(declared: int, sent: int) -> None:
    with connected() as (bus, reader):
        send(bus, flood_call(":1.1", descriptors=declared), (b"file",) * sent)
        bus.sendall(MIXED[0])
        while reader.fill():
            pass
        assert reader.head()
        frame = reader.take()
        assert frame
        assert len(contents(frame)) == min(declared, sent)
        assert frame.complete == (declared <= sent)
        assert taken(reader) == [MIXED[0]]


def test_files_of_a_message_whose_header_can_not_be_read_are_closed_with_it() -> None:
    broken = flood_call(":1.1", descriptors=1).replace(b"\7\1s\0", b"\7\1u\0")
    with connected() as (bus, reader):
        before = open_files()
        send(bus, broken, (b"file",) * 10)
        reader.fill()
        assert open_files() == before + 10
        head = reader.head()
        assert head
        assert head.fields is None
        reader.skip()
        assert open_files() == before


def test_where_no_more_files_can_be_opened_the_message_says_so_and_the_next_is_whole() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connected() as (bus, reader):
        send(bus, flood_call(":1.1", descriptors=4), (b"file",) * 4)
        highest = max(open_descriptors())
        held = [os.dup(0) for _ in range(highest + 1 - len(open_descriptors()) + 1)]  # every free number
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        try:
            reader.fill()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            close_all(held)
        send(bus, flood_call(":1.1", 2, descriptors=1), (b"whole",))
        assert reader.head()
        lost = reader.take()
        assert lost
        assert not lost.complete
        assert lost.descriptors == ()
        reader.fill()
        assert reader.head()
        whole = reader.take()
        assert whole
        assert whole.complete
        assert contents(whole) == (b"whole",)


def test_a_skipped_message_is_never_in_memory_as_a_whole() -> None:
    body = bytes(1 << 20)
    huge = encoded([(PATH, "o", "/")], body=body * 8)
    with connected() as (bus, reader):
        sent, skipped = memoryview(huge + MIXED[0]), False
        bus.setblocking(False)
        while sent or reader.fill():
            try:
                sent = sent[bus.send(sent) :]
            except BlockingIOError:
                reader.fill()
            assert len(reader._buffer) <= READ_BYTES
            if not skipped and (head := reader.head()):
                assert head.lengths.total_bytes == len(huge)
                reader.skip()
                skipped = True
        assert taken(reader) == [MIXED[0]]


def test_a_header_that_is_too_long_is_not_waited_for() -> None:
    long = encoded([(PATH, "o", "/"), (50, "ay", bytes(2 * LARGEST_HEADER_BYTES))])
    with connected() as (bus, reader):
        bus.sendall(long[:16])
        reader.fill()
        head = reader.head()
        assert head
        assert head.fields is None
        reader.skip()
        bus.setblocking(False)
        rest = memoryview(long[16:] + MIXED[0])
        while rest:
            rest = rest[bus.send(rest[:READ_BYTES]) :]
            reader.fill()
        while reader.fill():
            pass
        assert taken(reader) == [MIXED[0]]


@dataclass
class Everything:
    """A Receiver that accepts every message, and closes its files."""

    delivered: list[bytes] = field(default_factory=list)
    served: list[tuple[str | None, int]] = field(default_factory=list)
    """Sender and serial number."""
    refused: list[tuple[str | None, int, str]] = field(default_factory=list)
    """Sender, serial number and error text of calls that expect a reply."""

    def wants(self, head: Head) -> bool:
        return head.lengths.type in {Type.METHOD_RETURN, Type.ERROR, Type.SIGNAL} and head.fields is not None

    def deliver(self, frame: Frame) -> None:
        close_all(frame.descriptors)
        self.delivered.append(frame.data)

    def serve(self, call: Call) -> None:
        close_all(call.frame.descriptors)
        self.served.append((call.frame.fields.sender, call.frame.lengths.serial))

    def refuse(self, head: Head, text: str) -> None:
        if head.lengths.wants_reply:
            self.refused.append((head.fields.sender if head.fields else None, head.lengths.serial, text))


def handled(intake: Intake, now_s: float = 0.0) -> str:
    """Run the intake until it waits for the socket or a quota, or fails; return the name of the exception, if any."""
    try:
        while True:
            wait_s = intake.turn(now_s)
            if wait_s is None or wait_s > 0:
                return ""
    except (Malformed, EOFError) as error:
        return type(error).__name__


def broken_at(stream: bytes) -> int:
    """Return the offset at which the framing of the stream is lost; -1 if it is intact."""
    at = 0
    while at + 16 <= len(stream):
        order = {ord("l"): "<", ord("B"): ">"}.get(stream[at])
        if order is None or stream[at + 3] != 1:
            return at
        body, _, array = struct.unpack_from(f"{order}III", stream, at + 4)
        size = 16 + array + -array % 8 + body
        if size > LARGEST_MESSAGE_BYTES:
            return at
        at += size
    return -1


@EXACT
@given(st.lists(st.sampled_from(MIXED), min_size=1, max_size=6), st.data())
def test_a_damaged_stream_ends_the_connection_only_where_the_framing_is_lost(
    chosen: list[bytes], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(chosen))
    for _ in range(data.draw(st.integers(1, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    _ends_as_it_should(bytes(stream), data.draw(st.integers(1, len(stream))), data.draw(st.integers(0, 3)))


@EXACT
@given(st.binary(min_size=1, max_size=2000), st.integers(0, 3))
def test_any_bytes_end_the_connection_only_where_the_framing_is_lost(stream: bytes, files: int) -> None:
    for begin in (b"", b"l\1\1\1" + struct.pack("<III", len(stream), 1, 0), MIXED[1]):
        _ends_as_it_should(begin + stream, len(begin) + 1, files)


def _ends_as_it_should(stream: bytes, cut: int, files: int) -> None:
    with connected() as (bus, reader):
        intake = Intake(reader, Everything())
        raised = ""
        for part, descriptors in ((stream[:cut], (b"file",) * files), (stream[cut:], ())):
            if part and not raised:
                send(bus, part, descriptors)
                raised = handled(intake)
        while not raised and reader.fill():
            raised = handled(intake)
        assert raised == ("Malformed" if broken_at(stream) >= 0 else "")
        assert len(reader._buffer) <= len(stream)
        intake.close()


def test_a_call_of_the_longest_kind_is_held_and_a_longer_one_is_not() -> None:
    for size, text in ((LARGEST_CALL_BYTES, ""), (LARGEST_CALL_BYTES + 8, TOO_LONG)):
        receiver = Everything()
        with connected() as (bus, reader):
            intake = Intake(reader, receiver)
            head = len(flood_call(":1.1", body=b"x")) - 1
            stream = memoryview(flood_call(":1.1", 5, answered=True, body=bytes(size - head)) + flood_call(":1.2", 1))
            bus.setblocking(False)
            while stream:
                stream = stream[bus.send(stream[:READ_BYTES]) :]
                assert handled(intake) == ""
            assert handled(intake) == ""
            assert receiver.served == [*([] if text else [(":1.1", 5)]), (":1.2", 1)]
            assert receiver.refused == ([(":1.1", 5, text)] if text else [])
            intake.close()


def test_a_turn_serves_a_bounded_number_and_answers_come_before_calls_that_wait() -> None:
    receiver = Everything()
    with connected() as (bus, reader):
        intake = Intake(reader, receiver)
        answer = encoded([], kind=2)
        bus.sendall(flood_call(":1.1") * 40 + answer)
        intake.turn(0.0)
        assert len(receiver.served) <= MESSAGES_A_TURN
        assert receiver.delivered == [answer]
        assert handled(intake) == ""
        assert len(receiver.served) == 40
        intake.close()


@EXACT
@given(st.permutations([":1.1"] * 12 + [":1.2"] * 3 + ["answered", "file", "signal", UNKNOWN]))
def test_what_is_dropped_in_bulk_are_calls_of_the_one_whose_queue_is_full(kinds: list[str | bytes]) -> None:
    receiver = Everything()
    signal = encoded([], kind=SIGNAL)
    made = {
        "answered": flood_call(":1.1", 8, answered=True),
        "file": flood_call(":1.1", 9, descriptors=1),
        "signal": signal,
        ":1.1": flood_call(":1.1", 1),
        ":1.2": flood_call(":1.2", 2),
    }
    with connected() as (bus, reader):
        intake = Intake(reader, receiver)
        for _ in range(2):  # calls that are served immediately, and calls that then wait
            bus.sendall(flood_call(":1.1") * BURST)
            assert handled(intake) == ""
        assert intake.waiting == WAITING
        receiver.served.clear()
        before = open_files()
        for kind in kinds:
            data = kind if isinstance(kind, bytes) else made[kind]
            send(bus, data, (b"file",) if kind == "file" else ())
        while reader.fill():
            handled(intake)
        handled(intake)
        assert receiver.served == [(":1.2", 2)] * 3
        assert receiver.refused == [(":1.1", 8, TOO_MANY)]
        assert receiver.delivered == [signal]
        assert intake.waiting == WAITING
        assert open_files() == before
        intake.close()


def test_calls_that_wait_are_closed_with_the_connection() -> None:
    receiver = Everything()
    with connected() as (bus, reader):
        intake = Intake(reader, receiver)
        bus.sendall(flood_call(":1.1") * BURST)
        assert handled(intake) == ""
        before = open_files()
        for number in range(10):
            send(bus, flood_call(":1.1", number, descriptors=2), (b"file",) * 2)
            handled(intake)
        assert open_files() == before + 20
        bus.shutdown(socket.SHUT_WR)
        assert handled(intake) == "EOFError"
        intake.close()
        assert open_files() == before


def test_two_floods_and_an_honest_client() -> None:
    """All calls of the third client are served, whatever the others send in between."""
    receiver = Everything()
    with connected() as (bus, reader):
        intake = Intake(reader, receiver)
        for number in range(40):
            bus.sendall(flood_call(":1.1") * 50 + flood_call(":1.2") * 50 + flood_call(":1.3", number, answered=True))
            assert handled(intake) == ""
        assert [serial for sender, serial in receiver.served if sender == ":1.3"] == list(range(40))
        for flooder in (":1.1", ":1.2"):
            assert [sender for sender, _ in receiver.served].count(flooder) == BURST
        assert receiver.refused == []
        assert intake.waiting == 2 * WAITING
        intake.close()


def test_malformed_calls_cost_no_memory_and_no_file() -> None:
    receiver = Everything()
    broken = flood_call(":1.1", descriptors=1).replace(b"\7\1s\0", b"\7\1u\0")
    with connected() as (bus, reader):
        intake = Intake(reader, receiver)
        before = open_files()
        for _ in range(500):
            send(bus, broken, (b"file",))
            assert handled(intake) == ""
            assert open_files() == before
            assert not reader._buffer
            assert not reader._batches
        assert receiver.served == []
