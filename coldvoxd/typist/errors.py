"""What can go wrong on the way into a window."""


class TypingError(Exception):
    """Text did not get where it was to go; the message says why, in words for a notification."""


class Refused(TypingError):
    """Nothing of the text has arrived: another way may be tried."""


class WindowGone(Refused):
    """The window of the request no longer exists."""


class Interrupted(TypingError):
    """A part of the text has arrived, so no other way is tried: it would come twice."""

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(reason)
        self.rest = rest
        """What has not arrived."""


class TypeSettingsError(TypingError):
    """The settings can't be used; the message names the file and the key."""


class RuntimeDirectoryUnusable(TypingError):
    """There is no place for texts that no other user can read; the message names it and says why."""
