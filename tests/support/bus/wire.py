"""D-Bus messages as bytes in both byte orders, from the library where it can write them, and strategies for them."""

import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from coldvoxd.bus.library import Message, MessageType, Variant
from tests.support.bus.library import encoded_body

LITTLE, BIG = "<", ">"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE, DESCRIPTORS = range(1, 10)

EXACT = settings(
    deadline=None, database=None, derandomize=True, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
"""The same examples in each run and no time limit: a test fails for its findings, not on a busy machine."""

Field = tuple[int, str, Any]
"""Code, signature and value of a header field."""


def encoded(fields: Sequence[Field], *, kind: int = CALL, flags: int = 0, serial: int = 1, body: bytes = b"") -> bytes:
    """Return a little-endian message with these header fields, valid or not, as the library marshals them."""
    array = [[code, Variant(signature, value)] for code, signature, value in fields]
    header = encoded_body("yyyyuua(yv)", [ord("l"), kind, flags, 1, len(body), serial, array])
    return header + b"\0" * (-len(header) % 8) + body


def big_endian(
    fields: Sequence[Field], *, kind: int = CALL, flags: int = 0, serial: int = 1, body: bytes = b""
) -> bytes:
    """Return a big-endian message, which the library reads but can't write. Fields of the types s, o, g and u."""
    array = b""
    for code, signature, value in fields:
        array += b"\0" * (-len(array) % 8) + bytes((code, 1)) + signature.encode() + b"\0"
        if signature == "u":
            array += struct.pack(">I", value)
        else:
            text = value.encode()
            array += struct.pack(">B" if signature == "g" else ">I", len(text)) + text + b"\0"
    fixed = struct.pack(">cBBBIII", b"B", kind, flags, 1, len(body), serial, len(array))
    return fixed + array + b"\0" * (-len(array) % 8) + body


def flood_call(
    sender: str, serial: int = 1, *, answered: bool = False, descriptors: int = 0, body: bytes = b""
) -> bytes:
    """Return a call as the bus delivers it."""
    fields: list[Field] = [(PATH, "o", "/"), (MEMBER, "s", "Ping"), (SENDER, "s", sender)]
    fields += [(SIGNATURE, "g", "ay")] if body else []
    fields += [(DESCRIPTORS, "u", descriptors)] if descriptors else []
    return encoded(fields, flags=0 if answered else 1, serial=serial, body=body)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_ELEMENTS = st.text(_LETTERS, min_size=1, max_size=60)
_NAMES = st.lists(_ELEMENTS, min_size=2, max_size=4).map(".".join)
_SERIALS = st.integers(1, 0xFFFFFFFF)
_BODIES: st.SearchStrategy[tuple[str, list[Any]]] = st.sampled_from(
    [
        ("", []),
        ("s", ["a word"]),
        ("as", [[]]),
        ("a{sv}", [{"key": Variant("d", 0.5)}]),
        ("yxay", [1, -1, b"\0" * 300]),
        ("(bav)", [[True, [Variant("u", 7), Variant("v", Variant("s", ""))]]]),
        ("y" * 255, [7] * 255),
    ]
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Draw a message of one of the four types, with all its optional fields except the sender, which the bus adds."""
    kind = draw(st.sampled_from([CALL, RETURN, ERROR, SIGNAL]))
    signature, body = draw(_BODIES)
    optional = st.one_of(st.none(), _NAMES)
    make: Any = Message  # its annotations omit that most arguments may be None
    message: Message = make(
        message_type=MessageType(kind),
        destination=draw(optional),
        path="/" + "/".join(draw(st.lists(_ELEMENTS, max_size=3))) if kind in {CALL, SIGNAL} else None,
        interface=draw(_NAMES if kind == SIGNAL else optional) if kind in {CALL, SIGNAL} else None,
        member=draw(_ELEMENTS) if kind in {CALL, SIGNAL} else None,
        error_name=draw(_NAMES) if kind == ERROR else None,
        reply_serial=draw(_SERIALS) if kind in {RETURN, ERROR} else None,
        signature=signature,
        body=body,
        serial=draw(_SERIALS),
        unix_fds=[0] * draw(st.integers(0, 3)),
    )
    return message
