"""The D-Bus library: dbus-next, or its fork dbus-fast where dbus-next cannot be imported. No other module imports either.

Both have the same messages, variants and service interfaces. Connecting, reading, decoding, writing and dispatching are
ours (`connection` and its neighbours), so a client of the bus cannot tell which library is in use.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from coldvoxd.bus.library_name import FAST, NAME, NEXT

SIGNATURES_KEPT = 1024
"""Number of parsed signatures that are cached; each comes from a message, so their number has to be bounded."""

if TYPE_CHECKING or NAME == NEXT:
    from dbus_next import (
        DBusError,
        Message,
        MessageFlag,
        MessageType,
        NameFlag,
        PropertyAccess,
        RequestNameReply,
        SignatureTree,
        SignatureType,
        Variant,
    )
    from dbus_next.service import ServiceInterface, dbus_property, method
else:
    from dbus_fast import (
        DBusError,
        Message,
        MessageFlag,
        MessageType,
        NameFlag,
        PropertyAccess,
        RequestNameReply,
        SignatureTree,
        SignatureType,
        Variant,
    )
    from dbus_fast.service import ServiceInterface, dbus_property, method

__all__ = [
    "DBusError",
    "Message",
    "MessageFlag",
    "MessageType",
    "NameFlag",
    "PropertyAccess",
    "RequestNameReply",
    "ServiceInterface",
    "SignatureTree",
    "SignatureType",
    "Variant",
    "dbus_property",
    "marshalled",
    "method",
    "methods_of",
    "parsed_signature",
    "properties_of",
]


@lru_cache(SIGNATURES_KEPT)
def parsed_signature(signature: str) -> SignatureTree:
    """Parse a signature. Raises ValueError if it is none."""
    return SignatureTree(signature)


# The only private parts of the libraries that are used; they are the same in both.


def marshalled(message: Message) -> bytes:
    """Return a message in wire format. Raises ValueError if its body does not fit its signature."""
    if NAME == FAST:  # which writes what it can; dbus-next verifies the body itself
        message.signature_tree.verify(message.body)
    return bytes(message._marshall(negotiate_unix_fd=True))  # noqa: SLF001 - see above


def methods_of(interface: ServiceInterface) -> Mapping[str, Any]:
    """Return the methods of an interface by name, with `fn`, `in_signature` and `out_signature`."""
    methods: Iterable[Any] = ServiceInterface._get_methods(interface)  # noqa: SLF001 - see above
    return {one.name: one for one in methods}


def properties_of(interface: ServiceInterface) -> Mapping[str, Any]:
    """Return the properties of an interface by name, with `signature` and `prop_getter`."""
    properties: Iterable[Any] = ServiceInterface._get_properties(interface)  # noqa: SLF001 - see above
    return {one.name: one for one in properties}
