"""coldvoxctl's exit codes: what they mean, and which error ends with which."""

from enum import IntEnum

from coldvoxd.core import errors


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_READY = 4
    NOT_NOW = 5
    TIMEOUT = 6
    NOT_SUPPORTED = 7
    TRY_LATER = 8
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; of several files, at least one could not be transcribed; a model is damaged",
    Exit.USAGE: "wrong usage: an unknown command, option or value",
    Exit.UNREACHABLE: "no session bus, or coldvoxd doesn't run and can't be started",
    Exit.NOT_READY: "no model is present, or there is no microphone",
    Exit.NOT_NOW: "a session is active already, none is active, or it is somebody else's",
    Exit.TIMEOUT: "it took longer than 20 s; what comes of it is told by signal",
    Exit.NOT_SUPPORTED: "this version doesn't have that yet",
    Exit.TRY_LATER: "the model hub can't be reached or is busy; what was fetched is kept, try again",
    Exit.INTERRUPTED: "interrupted",
}
"""For `coldvoxctl --help`."""


class UsageFault(errors.ColdvoxError):
    """Arguments that make no sense; the message says which."""


_EXITS: tuple[tuple[type[errors.ColdvoxError], Exit], ...] = (
    (UsageFault, Exit.USAGE),
    (errors.InvalidOption, Exit.USAGE),
    (errors.BusUnavailable, Exit.UNREACHABLE),
    (errors.DaemonUnreachable, Exit.UNREACHABLE),
    (errors.NotReady, Exit.NOT_READY),
    (errors.NoMicrophone, Exit.NOT_READY),
    (errors.AlreadyActive, Exit.NOT_NOW),
    (errors.NotActive, Exit.NOT_NOW),
    (errors.NotOwner, Exit.NOT_NOW),
    (errors.CallTimeout, Exit.TIMEOUT),
    (errors.NotSupported, Exit.NOT_SUPPORTED),
    (errors.HubUnreachable, Exit.TRY_LATER),
)


def exit_for(error: errors.ColdvoxError) -> Exit:
    """The exit code of a command that ended with this error."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), Exit.FAILED)


def error_name(error: errors.ColdvoxError) -> str:
    """For `--json`: the error's name on the bus, its own name where it has none there."""
    if isinstance(error, UsageFault):
        return "Usage"
    general = errors.ColdvoxError.dbus_name
    if error.dbus_name != general or type(error) is errors.ColdvoxError:
        return error.dbus_name
    return type(error).__name__
