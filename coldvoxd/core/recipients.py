"""The one rule about who may read a session's text, and with whom a session ends.

The text of a private session goes to the client that started it and to no other client; the text of any other session
goes to every client. Clients are unique bus names such as `:1.42`, which mean a client only on the bus that gave them.
"""

from coldvoxd.core.values import SessionOptions


def recipient_of(caller: str, options: SessionOptions) -> str | None:
    """The only client that may read the text of the session that `caller` started; None where every client may."""
    return caller if options.private else None


def may_read(client: str, recipient: str | None) -> bool:
    """Whether a client may read a text of that recipient. It may then also stop, cancel or toggle the session."""
    return recipient is None or client == recipient


def is_readable_on(bus: str, session_bus: str, options: SessionOptions) -> bool:
    """Whether any client of `bus` may read the text of a session that was started on `session_bus` (GUIDs of buses)."""
    return bus == session_bus or not options.private


def ends_with_caller(options: SessionOptions) -> bool:
    """Whether a session is discarded when the client that started it leaves the bus."""
    return options.private or options.bind_to_caller
