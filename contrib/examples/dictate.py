#!/usr/bin/env python3
"""Dictates one utterance in its own private session, and prints it; no other client receives the text.

    ./dictate.py        (needs: pip install dbus-fast)

Ends automatically when you pause; Ctrl-C discards the utterance.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

from dbus_fast import AuthError, DBusError, InvalidAddressError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

BUS = "org.freedesktop.DBus"
NAME, PATH, DICTATION = "org.coldvox.Daemon1", "/org/coldvox/Daemon1", "org.coldvox.Dictation1"


async def call(bus: MessageBus, member: str, signature: str = "", *body: object, to: str = NAME) -> Any:
    """Return the first value of the answer. Raises DBusError, whose type is one of the contract's names."""
    bus_path = "/org/freedesktop/DBus" if to == BUS else PATH
    interface = to if to == BUS else DICTATION
    message = Message(
        destination=to, path=bus_path, interface=interface, member=member, signature=signature, body=list(body)
    )
    reply = await bus.call(message)
    assert reply is not None
    if reply.message_type is MessageType.ERROR:
        raise DBusError(reply.error_name, reply.body[0])
    return reply.body[0] if reply.body else None


async def connected() -> MessageBus:
    """Return a connection to the session bus, or exit."""
    try:
        return await MessageBus().connect()
    except (OSError, InvalidAddressError, AuthError) as error:
        sys.exit(f"There is no session bus: {error}")


def joined(texts: list[dict[str, str]]) -> str:
    """Return the text of a session: a sentence may continue after a pause, so its final mark comes last."""
    return "".join(text["seam"] + text["body"] for text in texts).strip() + "".join(
        text["pending"] for text in texts[-1:]
    )


async def main() -> int:
    bus = await connected()
    texts: dict[tuple[int, int], dict[str, str]] = {}
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    session = 0
    owner = ""  # the daemon's unique name: any client can send signals that look like the daemon's

    def receive(message: Message) -> None:
        nonlocal owner
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.sender == BUS and message.member == "NameOwnerChanged" and message.body[0] == NAME:
            owner = message.body[2]
            if owner:
                return
            print("coldvoxd has gone; it restarts automatically, and publishes what it had heard", file=sys.stderr)
        elif message.sender != owner:
            return
        elif message.interface == DICTATION and message.member == "Transcribed" and message.body[0] == session:
            number, utterance, text, details = message.body
            parts = {name: details[name].value for name in ("body", "pending", "seam") if name in details}
            # After a crash a text may be repeated: the pair identifies it. Older daemons have no parts.
            texts[number, utterance] = {"body": text, "pending": "", "seam": " "} | parts
        elif message.member == "DictationStopped" and message.body[0] == session and not ended.done():
            ended.set_result(message.body[1])

    bus.add_message_handler(receive)
    for rule in (
        f"type='signal',interface='{DICTATION}'",
        f"type='signal',member='NameOwnerChanged',arg0='{NAME}'",
    ):
        await call(bus, "AddMatch", "s", rule, to=BUS)
    with suppress(DBusError):  # not running yet: its start is announced
        owner = await call(bus, "GetNameOwner", "s", NAME, to=BUS)
    options = {"private": Variant("b", True), "single-utterance": Variant("b", True)}
    try:
        session = await call(bus, "StartDictationWithOptions", "a{sv}", options)
        print("speak", file=sys.stderr, flush=True)
        reason = await ended
    except DBusError as error:  # NotReady reports the model's progress, NoMicrophone the microphone's problem
        print(f"{error.type}: {error.text}", file=sys.stderr)
        return 1
    print(joined(list(texts.values())))
    return 0 if reason != "microphone-lost" else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
