"""Message headers, compared with what the library writes and reads."""

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.bus import header
from coldvoxd.bus.header import LARGEST_MESSAGE_BYTES, MAX_FIELDS, Fields, Lengths, Malformed
from coldvoxd.bus.library import Message, Variant, marshalled
from tests.support.bus.library import parsed
from tests.support.bus.wire import (
    CALL,
    DESTINATION,
    ERROR,
    ERROR_NAME,
    EXACT,
    INTERFACE,
    MEMBER,
    PATH,
    REPLY_SERIAL,
    SENDER,
    SIGNAL,
    SIGNATURE,
    Field,
    big_endian,
    encoded,
    messages,
)

WHOLE: list[Field] = [
    (PATH, "o", "/org/coldvox/Daemon1"),
    (INTERFACE, "s", "org.coldvox.Dictation1"),
    (MEMBER, "s", "StartDictation"),
    (ERROR_NAME, "s", "org.coldvox.Error.Failed"),
    (REPLY_SERIAL, "u", 4_000_000_000),
    (DESTINATION, "s", ":1.1"),
    (SENDER, "s", ":1.42"),
    (SIGNATURE, "g", "a{sv}"),
    (9, "u", 3),
]
FIELDS = Fields(
    path="/org/coldvox/Daemon1",
    interface="org.coldvox.Dictation1",
    member="StartDictation",
    error_name="org.coldvox.Error.Failed",
    reply_serial=4_000_000_000,
    destination=":1.1",
    sender=":1.42",
    signature="a{sv}",
    descriptors=3,
)
MORE: dict[str, Any] = {
    "y": 1,
    "b": True,
    "n": -1,
    "q": 1,
    "i": -1,
    "u": 1,
    "x": -1,
    "t": 1,
    "d": 0.5,
    "h": 0,
    "s": "text",
    "o": "/path",
    "g": "a{sv}",
    "v": Variant("v", Variant("(sv)", ["deep", Variant("ax", [1, 2])])),
    "ay": b"12345",
    "at": [1, 2, 3],
    "as": [],
    "aas": [["a"], []],
    "a{sv}": {"key": Variant("t", 1)},
    "a(yt)": [],
    "(yxy)": [1, 2, 3],
    "(ya(xa{sv})g)": [1, [[2, {"k": Variant("s", "v")}]], "s"],
}
"""Values of fields of later versions of the specification, by their types."""


def read(data: bytes, at: int = 0) -> tuple[Lengths, Fields]:
    lengths = header.read_lengths(bytearray(data), at)
    return lengths, header.read_fields(data, lengths, at)


def fields_of(message: Message) -> Fields:
    """Return the fields as the library reads them."""
    return Fields(
        message.path,
        message.interface,
        message.member,
        message.error_name,
        message.reply_serial or None,
        message.destination,
        message.sender,
        message.signature,
        len(message.unix_fds),
    )


@EXACT
@given(messages(), st.binary(max_size=40))
def test_any_message_of_the_library_is_read_as_it_was_written(message: Message, before: bytes) -> None:
    data = marshalled(message)
    for at, stream in ((0, data), (len(before), before + data + before)):
        lengths, fields = read(stream, at)
        assert lengths.total_bytes == len(data)
        assert (lengths.type, lengths.serial) == (message.message_type.value, message.serial)
        assert fields == fields_of(message)


@EXACT
@given(st.permutations(WHOLE), st.integers(0, len(WHOLE)), st.integers(1, 255), st.integers(0, 255))
def test_both_byte_orders_are_read_and_any_type_and_flags(
    fields: list[Field], count: int, kind: int, flags: int
) -> None:
    chosen = fields[:count]
    for write, little_endian in ((encoded, True), (big_endian, False)):
        lengths, found = read(write(chosen, kind=kind, flags=flags, serial=7, body=b"12345"))
        assert (lengths.little_endian, lengths.type, lengths.flags, lengths.serial) == (little_endian, kind, flags, 7)
        assert lengths.body_bytes == 5
        wanted = {code for code, _, _ in chosen}
        names = [name for code, name in enumerate(Fields._fields, 1) if code in wanted]
        assert found == Fields(**{name: getattr(FIELDS, name) for name in names})


def test_what_is_written_big_endian_is_what_the_library_reads() -> None:
    fields = [*WHOLE[:3], *WHOLE[5:7], (SIGNATURE, "g", "s")]
    data = big_endian(fields, serial=9, body=struct.pack(">I", 2) + b"hi\0")
    message = parsed(data)
    assert message.body == ["hi"]
    assert read(data)[1] == fields_of(message)


@pytest.mark.parametrize("signature", MORE)
@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_field_of_a_later_version_is_ignored_whatever_its_type(signature: str, place: int) -> None:
    more: Field = (50, signature, MORE[signature])
    assert read(encoded([*WHOLE[:place], more, *WHOLE[place:]]))[1] == FIELDS


@EXACT
@given(st.lists(st.tuples(st.integers(10, 255), st.sampled_from(sorted(MORE))), max_size=MAX_FIELDS - len(WHOLE)))
def test_any_number_of_fields_of_later_versions_is_ignored(more: list[tuple[int, str]]) -> None:
    assert read(encoded([*WHOLE, *((code, of, MORE[of]) for code, of in more)]))[1] == FIELDS


def test_more_fields_than_the_limit_are_malformed() -> None:
    read(encoded([(50, "y", 1)] * MAX_FIELDS))
    with pytest.raises(Malformed, match="more than 64 fields"):
        read(encoded([(50, "y", 1)] * (MAX_FIELDS + 1)))


@pytest.mark.parametrize(
    ("code", "signature", "value"),
    [(PATH, "s", "/"), (MEMBER, "as", ["x"]), (REPLY_SERIAL, "t", 1), (SIGNATURE, "s", "s"), (SENDER, "v", MORE["v"])],
)
def test_a_known_field_of_another_type_is_malformed(code: int, signature: str, value: object) -> None:
    with pytest.raises(Malformed, match="is of type"):
        read(encoded([(code, signature, value)]))


@pytest.mark.parametrize(
    "signature", [b"", b"yy", b"a", b"(", b"()y", b"{sv}", b"(y", b"z", b"az", b"a" * 255, b"(" * 255, b"\xff", b"a{"]
)
def test_a_field_whose_type_is_no_type_is_malformed_or_ignored(signature: bytes) -> None:
    array = bytes((50, len(signature))) + signature + b"\0" * 65
    data = struct.pack("<cBBBIII", b"l", CALL, 0, 1, 0, 1, len(array)) + array + b"\0" * (-len(array) % 8)
    with contextlib.suppress(Malformed):
        assert read(data)[1] == Fields()


@pytest.mark.parametrize("depth", [10, 60, 100, 10_000])
def test_variants_inside_each_other_cost_no_more_than_their_bytes(depth: int) -> None:
    array = b"\x32\1v\0" + b"\1v\0" * depth + b"\1y\0\7"
    data = struct.pack("<cBBBIII", b"l", CALL, 0, 1, 0, 1, len(array)) + array + b"\0" * (-len(array) % 8)
    if depth < header.MAX_DEPTH - 1:
        assert read(data)[1] == Fields()
    else:
        with pytest.raises(Malformed):
            read(data)


@EXACT
@given(st.sampled_from([encoded, big_endian]), st.data())
def test_a_damaged_header_is_read_or_malformed_and_nothing_else(write: Any, data: st.DataObject) -> None:
    whole = bytearray(write(WHOLE, body=b"12345678"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(16, len(whole)))
    with contextlib.suppress(Malformed):
        read(bytes(whole[:cut]))


@EXACT
@given(st.binary(min_size=16, max_size=300))
def test_any_bytes_are_read_or_malformed_and_nothing_else(data: bytes) -> None:
    for begin in (b"", b"l\1\0\1", b"B\4\0\1", b"l\1\0\1" + struct.pack("<III", 8, 1, max(0, len(data) - 8))):
        with contextlib.suppress(Malformed):
            read(begin + data)


def test_a_header_that_is_cut_off_at_any_byte_is_malformed() -> None:
    data = encoded(WHOLE)
    lengths, _ = read(data)
    for cut in range(16, len(data) - 8):
        with pytest.raises(Malformed):
            header.read_fields(data[:cut], lengths)


@pytest.mark.parametrize("begin", [b"x\1\0\1", b"\0\1\0\1", b"l\1\0\2", b"B\1\0\0", b"L\1\0\1"])
def test_what_no_message_begins_with_is_malformed(begin: bytes) -> None:
    with pytest.raises(Malformed, match="no message begins"):
        header.read_lengths(bytearray(begin + bytes(12)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("body", "array"), [(LARGEST_MESSAGE_BYTES - 15, 0), (0, LARGEST_MESSAGE_BYTES), ((1 << 32) - 1, (1 << 32) - 1)]
)
def test_a_longer_message_than_the_specification_allows_is_malformed(order: str, body: int, array: int) -> None:
    first = b"l" if order == "<" else b"B"
    with pytest.raises(Malformed, match="longer than the specification allows"):
        header.read_lengths(bytearray(struct.pack(f"{order}cBBBIII", first, CALL, 0, 1, body, 1, array)))


def test_the_longest_message_of_the_specification_is_no_malformed_one() -> None:
    data = struct.pack("<cBBBIII", b"l", SIGNAL, 0, 1, LARGEST_MESSAGE_BYTES - 16, 1, 0)
    assert header.read_lengths(bytearray(data)).total_bytes == LARGEST_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("kind", "flags", "wanted"),
    [(CALL, 0, True), (CALL, 1, False), (CALL, 6, True), (SIGNAL, 0, False), (ERROR, 0, False)],
)
def test_a_call_wants_an_answer_unless_it_says_no(kind: int, flags: int, wanted: bool) -> None:
    assert read(encoded(WHOLE, kind=kind, flags=flags))[0].wants_reply is wanted


def test_a_text_that_is_no_utf_8_is_malformed() -> None:
    data = encoded([(MEMBER, "s", "abcd")]).replace(b"abcd", b"ab\xff\xfe")
    with pytest.raises(Malformed, match="no text"):
        read(data)


def test_headers_beyond_what_is_remembered_are_read_the_same() -> None:
    long: list[Field] = [*WHOLE, (50, "ay", bytes(header.CACHED_HEADER_BYTES))]
    for _ in range(2):
        for number in range(header.CACHED_HEADERS + 1):
            fields = read(encoded([(MEMBER, "s", f"Member{number}")]))[1]
            assert fields == Fields(member=f"Member{number}")
        assert read(encoded(long))[1] == FIELDS
