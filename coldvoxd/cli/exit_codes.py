"""The exit codes of coldvoxctl: their meanings, and the code for each error."""

from enum import IntEnum

from coldvoxd.arguments import OUTPUT_CLOSED
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
    GATE_MISSED = 9
    INTERRUPTED = 130
    OUTPUT_CLOSED = OUTPUT_CLOSED


MEANINGS = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; at least one of several files could not be transcribed; a model is damaged",
    Exit.USAGE: "usage error: an unknown command, option or value",
    Exit.UNREACHABLE: "no session bus, or coldvoxd is not running and cannot be started",
    Exit.NOT_READY: "no model is present, or there is no microphone",
    Exit.NOT_NOW: "a session is already active, none is active, or it belongs to another program",
    Exit.TIMEOUT: "the call took longer than 20 s, and its result is sent as a signal; or coldvoxd does not answer",
    Exit.NOT_SUPPORTED: "not supported by this version, or by the loaded model",
    Exit.TRY_LATER: "the model hub is unreachable or busy; downloaded data is kept, try again",
    Exit.GATE_MISSED: "evaluate --gate: a variant has more word errors than allowed",
    Exit.INTERRUPTED: "interrupted",
    Exit.OUTPUT_CLOSED: "the program that reads the output has exited",
}
"""For `coldvoxctl --help`."""


class UsageFault(errors.ColdvoxError):
    """Invalid arguments. The message says which."""


class OutputFault(errors.ColdvoxError):
    """Standard output cannot be written, as on a full device."""


class OutputClosed(OutputFault):
    """The program that read standard output has closed it."""


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
    """The exit code for a command that failed with this error."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), Exit.FAILED)


def error_name(error: errors.ColdvoxError) -> str:
    """The error's name in `--json` output: its bus name, or its class name if it has none."""
    if isinstance(error, UsageFault):
        return "Usage"
    general = errors.ColdvoxError.dbus_name
    if error.dbus_name != general or type(error) is errors.ColdvoxError:
        return error.dbus_name
    return type(error).__name__
