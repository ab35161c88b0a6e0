"""The only rule about which clients may read a session's text, and whether a session ends with its caller.

The text of a private session goes only to the client that started it; the text of any other session goes to every
client. Clients are unique bus names such as `:1.42`, which are valid only on the bus that assigned them.
"""

from coldvoxd.core.values import SessionOptions


def recipient_of(caller: str, options: SessionOptions) -> str | None:
    """Return the only client that may read the text of the session that `caller` started; None if every client may."""
    return caller if options.private else None


def may_read(client: str, recipient: str | None) -> bool:
    """Return whether a client may read a recipient's text. It may then also stop, cancel or toggle the session."""
    return recipient is None or client == recipient


def is_readable_on(bus: str, session_bus: str, options: SessionOptions) -> bool:
    """Return whether a client of `bus` may read the text of a session started on `session_bus`. Both are GUIDs."""
    return bus == session_bus or not options.private


def ends_with_caller(options: SessionOptions) -> bool:
    """Return whether a session is discarded when the client that started it leaves the bus."""
    return options.private or options.bind_to_caller
