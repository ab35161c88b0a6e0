#!/usr/bin/env python3
"""Transcribes a recording with the daemon's loaded model.

It passes the open file, not a path, so it works in a sandbox.

./transcribe.py RECORDING (needs: pip install dbus-fast)
"""

import asyncio
import os
import sys
from typing import Any

from dbus_fast import AuthError, InvalidAddressError, Message, MessageType
from dbus_fast.aio import MessageBus

NAME, PATH, DICTATION = "org.coldvox.Daemon1", "/org/coldvox/Daemon1", "org.coldvox.Dictation1"


async def connected() -> MessageBus:
    """Return a connection to the session bus, or exit."""
    try:
        return await MessageBus(negotiate_unix_fd=True).connect()
    except (OSError, InvalidAddressError, AuthError) as error:
        sys.exit(f"There is no session bus: {error}")


async def main(file: str) -> int:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}")
    bus = await connected()
    signals: asyncio.Queue[tuple[str, str, list[Any]]] = asyncio.Queue()

    def receive(message: Message) -> None:  # sent to this client alone: no subscription needed
        if message.message_type is MessageType.SIGNAL and message.interface == DICTATION:
            signals.put_nowait((str(message.sender), str(message.member), message.body))

    bus.add_message_handler(receive)
    try:
        reply = await bus.call(
            Message(
                destination=NAME,
                path=PATH,
                interface=DICTATION,
                member="TranscribeFile",
                signature="ha{sv}",
                body=[0, {}],
                unix_fds=[descriptor],
            )
        )
    finally:
        os.close(descriptor)
    assert reply is not None
    if reply.message_type is MessageType.ERROR:
        print(f"{reply.error_name}: {reply.body[0]}", file=sys.stderr)
        return 1
    while True:
        sender, member, body = await signals.get()
        if sender != reply.sender:  # any other client can send signals that look like the daemon's
            continue
        if member == "FileTranscribed" and body[0] == reply.body[0]:
            _, text, details = body
            if "error" in details:
                print(f"{details['error'].value}: {details['message'].value}", file=sys.stderr)
                return 1
            for warning in details["warnings"].value if "warnings" in details else ():
                print(warning, file=sys.stderr)
            print(text)
            return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: transcribe.py RECORDING")
    try:
        sys.exit(asyncio.run(main(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
