"""Errors of coldvoxd. Each message includes the remedy; `dbus_name` is the error's name on the bus."""

from typing import ClassVar

from coldvoxd.core.sentences import clause, sentences

ERROR_PREFIX = "org.coldvox.Error."


class ColdvoxError(Exception):
    """Base class. The message names the subject and the remedy, for a person to read."""

    dbus_name: ClassVar[str] = "Failed"


class AlreadyActive(ColdvoxError):
    """A session is already active, or too many files are being transcribed. Wait, stop or cancel first."""

    dbus_name = "AlreadyActive"


class NotActive(ColdvoxError):
    """No session is active, or there is nothing to retry or to cancel."""

    dbus_name = "NotActive"


class NotOwner(ColdvoxError):
    """The session is private to another client, or the file belongs to another client."""

    dbus_name = "NotOwner"


class NotReady(ColdvoxError):
    """No model is present, or the daemon is stopping."""

    dbus_name = "NotReady"


class NoMicrophone(ColdvoxError):
    """No microphone can be opened."""

    dbus_name = "NoMicrophone"


class CallTimeout(ColdvoxError, TimeoutError):
    """The call takes longer than its time limit. The message says how the result is reported."""

    dbus_name = "Timeout"


class TextTimeout(CallTimeout):
    """The text takes longer than the time limit of a call."""


class DaemonSilent(CallTimeout):
    """The daemon did not answer a call within the client's own time limit: it hangs, or the machine is overloaded."""


class LoadTimeout(CallTimeout):
    """Loading the model takes longer than the time limit of a call."""


class InvalidOption(ColdvoxError, ValueError):
    """An option, provider, setting or file does not exist, has the wrong type or cannot be used."""

    dbus_name = "InvalidOption"


class UnknownDevice(InvalidOption):
    """There is no microphone of that name. The message lists the available ones."""


class NotSupported(ColdvoxError):
    """An option or method that this version does not support yet, or a language that the loaded model does not recognize."""

    dbus_name = "NotSupported"


class RecognitionFailed(ColdvoxError):
    """An utterance could not be recognized, or there was an internal error. The message gives the reason."""

    dbus_name = "Failed"


class InputFault(ColdvoxError, ValueError):
    """Audio that no model accepts: wrong rate, type or shape, or not finite."""


class ProviderFault(ColdvoxError, RuntimeError):
    """The execution provider failed. The same audio may succeed on another one."""


class OutputNotFinite(ProviderFault):
    """The execution provider returned values that are not finite, so its other results are doubtful too."""


class Stopped(ColdvoxError):
    """A recognition was cancelled."""


class ProviderUnavailable(ColdvoxError):
    """A session would not run on the requested execution provider."""


class ModelUnusable(NotReady):
    """Base class of the errors of a model's files."""

    def __init__(self, fault: str, remedy: str = "") -> None:
        super().__init__(sentences(fault, remedy) if remedy else fault)
        self.fault = fault
        """What is wrong, without the remedy."""
        self.remedy = remedy
        """What to do, as a sentence; empty if the fault names it or there is none."""


class ModelMissing(ModelUnusable, FileNotFoundError):
    """There is no directory of that model. The message has the command that downloads it."""


class ModelInvalid(ModelUnusable):
    """The files of a model directory do not belong together."""


class ResourcesExhausted(NotReady):
    """There is too little memory, or there are too few threads, to load the model. The message says which."""


class LibraryUnusable(ColdvoxError):
    """A library that coldvoxd needs cannot be loaded. The message names it and the remedy."""

    @classmethod
    def because(cls, error: Exception) -> "LibraryUnusable":
        """Create it from the exception of an import: ImportError, or OSError if a package loads a C library itself."""
        return cls(
            f"A library that coldvoxd needs cannot be loaded: {clause(str(error))}. Reinstall coldvoxd and the system packages that the "
            "installer lists; `coldvoxctl doctor` checks each library."
        )


class FetchFault(ColdvoxError):
    """A model could not be downloaded, and a retry would fail as well. The message says what to do."""


class ConversionFault(ColdvoxError):
    """A model could not be converted to another precision. The message says what to do."""


class HubUnreachable(FetchFault):
    """The model hub is unreachable or busy, or the connection broke. Downloaded data is kept."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds to wait before the next request, if the hub gave them (Retry-After)."""


class ContradictoryHub(HubUnreachable):
    """The hub, or something on the way to it, sent another amount of data than it announced."""


class PrepareFault(ColdvoxError):
    """A model could not be prepared. It still works unprepared."""


class CaptureFault(ColdvoxError, OSError):
    """A microphone could not be opened, or stopped delivering audio."""


class NotInstallable(ColdvoxError):
    """The service cannot be installed, or was installed by other means. The message says what to do."""


class SettingsError(ColdvoxError, ValueError):
    """The settings file or an environment variable has an invalid value. The message has the line."""


class BusUnavailable(ColdvoxError, ConnectionError):
    """The session bus is unreachable, or the connection was lost."""


class NameTaken(ColdvoxError):
    """Another process owns the daemon's bus name. The message says which."""


class UnitRefused(ColdvoxError):
    """systemd is unreachable, or rejected a request. The message completes a sentence of the caller."""


class InhibitorRefused(ColdvoxError):
    """logind rejected the sleep inhibitor. The message completes a sentence of the caller."""


class DaemonUnreachable(ColdvoxError, ConnectionError):
    """The daemon does not answer on the bus."""


class FileFault(ColdvoxError, ValueError):
    """An audio file cannot be read."""


LONGEST_NAME = 200
"""Maximum number of characters of a caller's name for something that a message repeats."""


def shown(name: str) -> str:
    """Return a name given by a caller, truncated to LONGEST_NAME for use in messages."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
