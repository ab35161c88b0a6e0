"""Decodes frames into messages, and encodes the error reply to a call that is rejected undecoded."""

import struct
from typing import Any

from dbus_next import Message, MessageFlag, MessageType
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.signature import SignatureTree

from coldvoxd.bus.header import Malformed
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
        signature=SignatureTree._get(fields.signature),  # noqa: SLF001 - the library's cache
        serial=lengths.serial,
    )
    return message


def body_of(frame: Frame) -> list[Any]:
    """Return the decoded values.

    Raises Malformed, UnicodeDecodeError or RecursionError, because brokers forward bodies without reading them.
    """
    if not frame.lengths.body_bytes:
        return []
    body = _Body(frame)
    return [body.read_argument(kind) for kind in SignatureTree._get(frame.fields.signature).types]  # noqa: SLF001 - as above


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


class _Body(Unmarshaller):
    """The library's decoder, applied to a message that is completely in memory."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(None)
        self.buf = bytearray(frame.data)
        self.offset = frame.lengths.header_bytes
        self.endian = frame.data[0]

    def read(self, n: int, prefetch: bool = False) -> int:
        begin: int = self.offset
        if begin + n > len(self.buf):
            raise Malformed("a body that ends early")
        if not prefetch:
            self.offset = begin + n
        return begin
