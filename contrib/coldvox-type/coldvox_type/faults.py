"""What can go wrong on the way into a window."""


class TypingFault(Exception):
    """Text did not get where it was to go; the message says why, in words for a notification."""


class Refused(TypingFault):
    """Nothing of the text has arrived: another way may be tried."""


class WindowGone(Refused):
    """The window of the request no longer exists."""


class Interrupted(TypingFault):
    """A part of the text has arrived, so no other way is tried: it would come twice."""

    def __init__(self, reason: str, rest: str) -> None:
        super().__init__(reason)
        self.rest = rest
        """What has not arrived."""


class SettingsFault(TypingFault):
    """The settings can't be used; the message names the file and the key."""


class RuntimeDirectoryUnusable(TypingFault):
    """There is no place for texts that no other user can read; the message names it and says why."""
