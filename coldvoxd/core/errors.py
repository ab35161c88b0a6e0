"""What can go wrong, each with what to do about it; `dbus_name` is its name on the bus."""

from typing import ClassVar

ERROR_PREFIX = "org.coldvox.Error."


class ColdvoxError(Exception):
    """Root of the family. The message names the thing and the remedy, for a person to read."""

    dbus_name: ClassVar[str] = "Failed"


class AlreadyActive(ColdvoxError):
    """A session runs already, or too many files are being transcribed; wait, stop or cancel first."""

    dbus_name = "AlreadyActive"


class NotActive(ColdvoxError):
    """No session runs, or there is nothing to retry or to cancel."""

    dbus_name = "NotActive"


class NotOwner(ColdvoxError):
    """The session is private to somebody else, or the file is somebody else's."""

    dbus_name = "NotOwner"


class NotReady(ColdvoxError):
    """No model is present, or the daemon is stopping."""

    dbus_name = "NotReady"


class NoMicrophone(ColdvoxError):
    """No microphone can be opened."""

    dbus_name = "NoMicrophone"


class CallTimeout(ColdvoxError, TimeoutError):
    """It takes longer than a caller waits; the message says how the outcome is told."""

    dbus_name = "Timeout"


class TextTimeout(CallTimeout):
    """The text takes longer than a caller waits."""


class LoadTimeout(CallTimeout):
    """The model takes longer to load than a caller waits."""


class InvalidOption(ColdvoxError, ValueError):
    """An option, provider, setting or file that doesn't exist, has the wrong type or can't be used."""

    dbus_name = "InvalidOption"


class UnknownDevice(InvalidOption):
    """No microphone of that name; the message lists those there are."""


class NotSupported(ColdvoxError):
    """An option or method that this version does not have yet."""

    dbus_name = "NotSupported"


class RecognitionFailed(ColdvoxError):
    """An utterance could not be recognized, or the daemon met a fault of its own; the message says why."""

    dbus_name = "Failed"


class InputFault(ColdvoxError, ValueError):
    """Audio that no model could take: wrong rate, type, shape, or not finite."""


class ProviderFault(ColdvoxError, RuntimeError):
    """The execution provider failed; the same audio may succeed on another."""


class Stopped(ColdvoxError):
    """A recognition was asked to end early, and did."""


class ProviderUnavailable(ColdvoxError):
    """The execution provider asked for is not what a session would really run on."""


class ModelMissing(NotReady, FileNotFoundError):
    """No directory of that model; the message has the command that fetches it."""


class ModelInvalid(NotReady):
    """A model directory whose files don't fit together."""


class ResourcesExhausted(NotReady):
    """There is too little memory, or there are too few threads, to load the model; the message says which."""


class LibraryUnusable(ColdvoxError):
    """A library that coldvoxd is built on cannot be loaded; the message names it and the remedy."""

    @classmethod
    def because(cls, error: Exception) -> "LibraryUnusable":
        """From what an import raised: ImportError, or OSError where a package loads a C library itself."""
        return cls(
            f"A library that coldvoxd needs cannot be loaded: {error}. Install coldvoxd again, with the system's packages "
            "that its installation names; `coldvoxctl doctor` checks each library."
        )


class FetchFault(ColdvoxError):
    """A model could not be fetched, and trying again would change nothing; the message says what would."""


class ConversionFault(ColdvoxError):
    """A model could not be made in another precision; the message says what would help."""


class HubUnreachable(FetchFault):
    """The model hub can't be reached, is busy or broke off. What was fetched is kept."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the hub asks to be left alone, where it says so."""


class PrepareFault(ColdvoxError):
    """A model could not be prepared; it works as it is."""


class CaptureFault(ColdvoxError, OSError):
    """A microphone could not be opened or stopped delivering."""


class NotInstallable(ColdvoxError):
    """Programs can't be made a service of, or were made one by other means; the message says what to do."""


class SettingsError(ColdvoxError, ValueError):
    """The settings file or an environment variable holds something that can't be used; the message has the line."""


class BusUnavailable(ColdvoxError, ConnectionError):
    """The session bus can't be reached, or has gone."""


class NameTaken(ColdvoxError):
    """Another process has the daemon's name on the bus; the message says which."""


class UnitRefused(ColdvoxError):
    """systemd could not be asked, or would not; the message completes a sentence that says for what."""


class InhibitorRefused(ColdvoxError):
    """logind would not let us delay a sleep; the message completes a sentence that says so."""


class DaemonUnreachable(ColdvoxError, ConnectionError):
    """Nobody answers under the daemon's name."""


class FileFault(ColdvoxError, ValueError):
    """An audio file that can't be read."""


LONGEST_NAME = 200
"""Characters of a name given by a caller that a message repeats."""


def shown(name: str) -> str:
    """A name that a caller gave, as messages repeat it: cut where it is too long to be one."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
