"""Error replies of the daemon as exceptions."""

from collections.abc import Mapping
from types import MappingProxyType

from coldvoxd.bus.library import DBusError
from coldvoxd.core import errors

NAMED_ERRORS: Mapping[str, type[errors.ColdvoxError]] = MappingProxyType(
    {
        kind.dbus_name: kind
        for kind in (
            errors.AlreadyActive,
            errors.NotActive,
            errors.NotOwner,
            errors.NotReady,
            errors.NoMicrophone,
            errors.CallTimeout,
            errors.InvalidOption,
            errors.NotSupported,
        )
    }
)


def translated(error: DBusError) -> errors.ColdvoxError:
    """Return the ColdvoxError for an error reply."""
    text, name = str(error), str(error.type)
    if name.startswith(errors.ERROR_PREFIX):
        return named(name, text)
    if name.endswith((".ServiceUnknown", ".NameHasNoOwner")):
        return errors.DaemonUnreachable("coldvoxd is not running: start it with `systemctl --user start coldvoxd`.")
    if ".Error.Unknown" in name:
        return errors.NotSupported(f"The running coldvoxd does not have this method ({text}): update and restart it.")
    return errors.DaemonUnreachable(
        f"coldvoxd is unreachable ({text or name}): see `systemctl --user status coldvoxd`."
    )


def named(name: str, text: str) -> errors.ColdvoxError:
    """Return the ColdvoxError of this D-Bus name."""
    return NAMED_ERRORS.get(name.removeprefix(errors.ERROR_PREFIX), errors.ColdvoxError)(text)
