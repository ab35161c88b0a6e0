"""Xid events: what the error numbers of the NVIDIA driver mean for a program that uses the GPU.

The numbers and their recovery actions are from NVIDIA's "Xid Errors" catalogue (immediate actions). An event does not
name a process. An error of one program, such as an illegal access in a game's shader, is therefore no evidence against
this process unless one of our runs fails at about the same time.
"""

from enum import StrEnum


class XidKind(StrEnum):
    PROGRAM = "program"
    """The work of some program was stopped; the GPU is healthy."""
    MEMORY = "memory"
    """The GPU's memory has returned wrong values to a program; contexts on the GPU cannot be trusted any more."""
    LOST = "lost"
    """The GPU is unreachable."""
    RESET = "reset"
    """The GPU or its firmware is stalled until a reset; contexts on it are invalid."""
    NOTE = "note"
    """Recovered, or in an unrelated part; only logged."""


XIDS: dict[int, tuple[XidKind, str]] = {
    8: (XidKind.PROGRAM, "a program's work on it stalled"),
    11: (XidKind.PROGRAM, "a program sent it an invalid command stream"),
    13: (XidKind.PROGRAM, "a program's computation raised an exception"),
    31: (XidKind.PROGRAM, "a program accessed memory that is not its own"),
    32: (XidKind.PROGRAM, "a program sent it an invalid command stream"),
    43: (XidKind.PROGRAM, "a program's work was stopped"),
    45: (XidKind.PROGRAM, "a program's work was cleaned up"),
    46: (XidKind.RESET, "it has stopped processing"),
    48: (XidKind.MEMORY, "its memory has an uncorrectable two-bit error"),
    61: (XidKind.RESET, "its internal controller had a fault"),
    62: (XidKind.RESET, "its internal controller has halted"),
    63: (XidKind.NOTE, "a row of its memory was replaced"),
    64: (XidKind.RESET, "a row of its memory is bad and cannot be replaced"),
    68: (XidKind.PROGRAM, "a program's video decoding failed"),
    69: (XidKind.PROGRAM, "a program sent it a command that its class does not support"),
    74: (XidKind.NOTE, "a link to another GPU has errors"),
    79: (XidKind.LOST, "it has fallen off the bus"),
    92: (XidKind.NOTE, "its memory has an unusually high rate of corrected errors"),
    94: (XidKind.MEMORY, "its memory has an error that was contained to one program"),
    95: (XidKind.MEMORY, "its memory has an error that reached other programs"),
    109: (XidKind.PROGRAM, "a program's work could not be switched in time"),
    110: (XidKind.RESET, "its security processor has failed"),
    119: (XidKind.RESET, "its firmware does not respond"),
    120: (XidKind.RESET, "its firmware has failed"),
    136: (XidKind.RESET, "its link training has failed"),
    140: (XidKind.MEMORY, "its memory has an uncorrectable error"),
    143: (XidKind.RESET, "it could not be initialized"),
    154: (XidKind.NOTE, "the driver changed the recommended recovery action"),
    158: (XidKind.RESET, "its firmware has failed fatally"),
}


def meaning(number: int) -> tuple[XidKind, str]:
    """The kind of an Xid, and a text that completes "the GPU reports Xid N: ..."; NOTE for an unknown one."""
    return XIDS.get(number, (XidKind.NOTE, "unknown to coldvoxd"))
