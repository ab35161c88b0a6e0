"""Errors of a delivery to a window."""


class TypingError(Exception):
    """The text did not reach its destination; the message gives the reason, worded for a notification."""


class Refused(TypingError):
    """None of the text has arrived: another method may be tried."""


class Unavailable(Refused):
    """The desktop does not give us the means that the method needs; another program may get it."""


class NoAnswer(Refused):
    """A program did not end in time and was killed: its task may be done."""


class TooMuch(Refused):
    """A program printed more than is kept."""


class ProgramMissing(Refused):
    """A program that the method needs is not installed."""


class WindowGone(Refused):
    """The requested window no longer exists."""


class Interrupted(TypingError):
    """A part of the text may have arrived, so no other method is tried: the part would be typed twice."""


class TypeSettingsError(TypingError):
    """The settings can't be used; the message names the file and the key."""


class RuntimeDirectoryUnusable(TypingError):
    """There is no directory for texts that no other user can read; the message names it and gives the reason."""
