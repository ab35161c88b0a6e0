"""Xid events: what the NVIDIA driver's error numbers mean for a program that uses the card.

The numbers and what they take to mend are in NVIDIA's "Xid Errors" (the catalogue's immediate actions). An event names
no process, so what stops one program's work (an illegal access of a game's shader) says nothing of ours by itself: it
only weighs when a run of ours fails at about the same time.
"""

from enum import StrEnum


class XidKind(StrEnum):
    PROGRAM = "program"
    """Some program's work on the card was stopped; the card is well."""
    MEMORY = "memory"
    """The card's memory has returned wrong values to somebody: what is on the card can't be trusted any more."""
    LOST = "lost"
    """The card can't be reached."""
    RESET = "reset"
    """The card or its firmware stands still until it is reset; contexts on it are dead."""
    NOTE = "note"
    """Repaired, or another part's business; worth a line in the log."""


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
