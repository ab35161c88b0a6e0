"""Bodies of messages, compared with what the library writes and reads, and damaged ones."""

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.bus.body import decoded
from coldvoxd.bus.header import MAX_DEPTH, Malformed
from coldvoxd.bus.library import Variant
from tests.support.bus.library import encoded_body, parsed
from tests.support.bus.wire import EXACT, REPLY_SERIAL, RETURN, SIGNATURE, encoded

BASIC: dict[str, st.SearchStrategy[Any]] = {
    "y": st.integers(0, 0xFF),
    "b": st.booleans(),
    "n": st.integers(-0x8000, 0x7FFF),
    "q": st.integers(0, 0xFFFF),
    "i": st.integers(-(1 << 31), (1 << 31) - 1),
    "u": st.integers(0, (1 << 32) - 1),
    "x": st.integers(-(1 << 63), (1 << 63) - 1),
    "t": st.integers(0, (1 << 64) - 1),
    "d": st.floats(allow_nan=False),
    "h": st.integers(0, 9),
    "s": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    "o": st.lists(st.text("aZ_9", min_size=1, max_size=4), max_size=3).map(lambda parts: "/" + "/".join(parts)),
    "g": st.sampled_from(["", "a{sv}", "(yd)as"]),
}
TYPES = st.recursive(
    st.sampled_from([*BASIC, "v"]),
    lambda inner: st.one_of(
        inner.map("a{}".format),
        st.lists(inner, min_size=1, max_size=3).map(lambda types: f"({''.join(types)})"),
        st.tuples(st.sampled_from([*BASIC]), inner).map(lambda pair: f"a{{{''.join(pair)}}}"),
    ),
    max_leaves=6,
)


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int = 0) -> Any:
    """Draw a value of one type."""
    if kind in BASIC:
        return draw(BASIC[kind])
    if kind == "v":
        inner = draw(st.sampled_from([*BASIC]) if depth > 2 else TYPES)
        return Variant(inner, draw(values(inner, depth + 1)))
    if kind == "ay":
        return draw(st.binary(max_size=9))
    if kind.startswith("a{"):
        return draw(st.dictionaries(BASIC[kind[2]], values(kind[3:-1], depth + 1), max_size=3))
    if kind.startswith("a"):
        return draw(st.lists(values(kind[1:], depth + 1), max_size=3))
    return [draw(values(one, depth + 1)) for one in split(kind[1:-1])]


def split(signature: str) -> list[str]:
    """Return the types of a signature."""
    found: list[str] = []
    at = 0
    while at < len(signature):
        begin = at
        while signature[at] == "a":
            at += 1
        opened = 0
        while True:
            opened += (signature[at] in "({") - (signature[at] in ")}")
            at += 1
            if not opened:
                break
        found.append(signature[begin:at])
    return found


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, list[Any]]:
    types = draw(st.lists(TYPES, min_size=1, max_size=4).filter(lambda types: len("".join(types)) < 256))
    return "".join(types), [draw(values(one)) for one in types]


def read(signature: str, body: bytes, *, little_endian: bool = True) -> list[Any]:
    return decoded(b"header.." + body, 8, signature, little_endian=little_endian)


@EXACT
@given(bodies())
def test_any_body_is_read_as_it_was_written_and_as_the_library_reads_it(drawn: tuple[str, list[Any]]) -> None:
    signature, body = drawn
    data = encoded_body(signature, body)
    assert read(signature, data) == body
    message = encoded([(REPLY_SERIAL, "u", 1), (SIGNATURE, "g", signature)], kind=RETURN, body=data)
    assert parsed(message).body == body


def test_a_body_in_the_other_byte_order_is_read_the_same() -> None:
    text = struct.pack(">I", 2) + b"hi\0\0"
    number = struct.pack(">d", 0.5)
    variant = b"\1n\0\0" + struct.pack(">hxx", -2)
    array = struct.pack(">II", 8, 0) + struct.pack(">II", 7, 1 << 31)
    body = text + number + variant + array[4:]  # the array needs no padding here
    assert len(text + number + variant) % 4 == 0
    expected = ["hi", 0.5, Variant("n", -2)]
    assert read("sdv", body, little_endian=False) == expected
    body = text + number + variant + struct.pack(">I", 8) + struct.pack(">II", 7, 1 << 31)
    assert read("sdvau", body, little_endian=False) == [*expected, [7, 1 << 31]]


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("s", struct.pack("<I", 0xFFFFFFFF) + b"abc\0"),
        ("as", struct.pack("<II", 8, 0xFFFFFFFB) + b"\0" * 4),  # dbus-fast 5.2.0 reads the same bytes forever
        ("ay", struct.pack("<I", 0xFFFFFFF0) + b"\0" * 32),
        ("ax", struct.pack("<II", 12, 0) + b"\0" * 16),
        ("a(y)", struct.pack("<II", 2, 0) + b"\0" * 16),
        ("ab", struct.pack("<I", 6) + b"\0" * 8),
        ("ad", struct.pack("<II", 8, 0) + b"\0" * 7),
        ("v", b"\2yy\0\1\1"),
        ("v", b"\0\0\0\0"),
        ("v", b"\1y"),
        ("q", b"\1"),
        ("{sv}", b"\0" * 32),
        ("a{vs}", struct.pack("<II", 16, 0) + b"\1y\0\7" + struct.pack("<I", 1) + b"a\0" + b"\0" * 8),
        ("z", b"\0" * 8),
        ("(y", b"\0" * 8),
        ("", b"\0"),
    ],
)
def test_what_no_library_writes_is_malformed(signature: str, body: bytes) -> None:
    if signature:
        with pytest.raises(ValueError):
            read(signature, body)
    else:
        assert read(signature, body) == []


def test_a_text_that_is_no_utf_8_is_an_error_of_its_own() -> None:
    with pytest.raises(UnicodeDecodeError):
        read("s", struct.pack("<I", 2) + b"\xff\xfe\0")


@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 10_000])
def test_values_inside_each_other_are_limited(depth: int) -> None:
    body = b"\1v\0" * (depth - 1) + b"\1y\0\7"
    if depth <= MAX_DEPTH:
        [found] = read("v", body)
        for _ in range(depth - 1):
            found = found.value
        assert found == Variant("y", 7)
    else:
        with pytest.raises(Malformed):
            read("v", body)


@EXACT
@given(bodies(), st.data())
def test_a_damaged_body_is_read_or_an_error_and_nothing_else(drawn: tuple[str, list[Any]], data: st.DataObject) -> None:
    signature, body = drawn
    whole = bytearray(encoded_body(signature, body))
    for _ in range(data.draw(st.integers(0, 4)) if whole else 0):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.sampled_from([0, 1, 0x7F, 0xFB, 0xFF]))
    with contextlib.suppress(ValueError):
        read(signature, bytes(whole[: data.draw(st.integers(0, len(whole)))]))
