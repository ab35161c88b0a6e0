"""Decodes frames into messages, and encodes the error reply to a call that is rejected undecoded."""

import struct
from typing import Any

from coldvoxd.bus.body import decoded
from coldvoxd.bus.library import Message, MessageFlag, MessageType, parsed_signature
from coldvoxd.bus.reader import Frame

_Message: Any = Message  # the library's annotations omit that most arguments may be None
_ERROR, _NO_REPLY_EXPECTED, _VERSION = 3, 1, 1


def message_of(frame: Frame) -> Message:
    """Return the message without its body. Raises the library's errors if a name in it is invalid."""
    lengths, fields = frame.lengths, frame.fields
    message: Message = _Message(
        destination=fields.destination,
        path=fields.path,
        interface=fields.interface,
        member=fields.member,
        message_type=MessageType(lengths.type),
        flags=MessageFlag(lengths.flags),
        error_name=fields.error_name,
        reply_serial=fields.reply_serial,
        sender=fields.sender,
        unix_fds=list(frame.descriptors),
        signature=parsed_signature(fields.signature),
        serial=lengths.serial,
    )
    return message


def body_of(frame: Frame) -> list[Any]:
    """Return the decoded values. Raises ValueError; see `body.decoded`."""
    lengths = frame.lengths
    if not lengths.body_bytes:
        return []
    return decoded(frame.data, lengths.header_bytes, frame.fields.signature, little_endian=lengths.little_endian)


def refusal(serial: int, call_serial: int, caller: str, name: str, text: str) -> bytes:
    """Return an error reply in wire format. About 20 times faster than the library, because a flood takes thousands."""
    fields = (
        _field(4, b"s", _string(name)),
        _field(5, b"u", struct.pack("<I", call_serial)),
        _field(6, b"s", _string(caller)),
        b"\x08\x01g\0\x01s\0",
    )
    array = b""
    for field in fields:
        array += b"\0" * (-len(array) % 8) + field
    body = _string(text)
    fixed = struct.pack("<cBBBIII", b"l", _ERROR, _NO_REPLY_EXPECTED, _VERSION, len(body), serial, len(array))
    return fixed + array + b"\0" * (-len(array) % 8) + body


def _field(code: int, kind: bytes, value: bytes) -> bytes:
    return bytes((code, 1)) + kind + b"\0" + value


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded + b"\0"
