"""Errors of a delivery to a window, and the reasons that they give."""

import os


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


def why(error: Exception) -> str:
    """Return why a program that we are connected to, or want to be, does not answer: a clause about `it`."""
    match error:
        case TimeoutError():
            return "it does not respond"
        case FileNotFoundError() | ConnectionRefusedError() if error.errno:
            return "it does not run"
        case PermissionError():
            return "it does not admit this user"
        case EOFError() | BrokenPipeError() | ConnectionResetError():
            return "it has ended"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)
        case OSError() if "[Errno" in (error.strerror or str(error)):  # several addresses were tried
            return "it cannot be reached"
        case OSError():  # a failed look-up of a host, or a reason of our own
            return error.strerror or str(error)
    return "its answer is not understood"
