"""Converts text to a form that the bus accepts."""

from collections.abc import Sequence

from coldvoxd.core.errors import InvalidOption, shown


def bus_text(text: str) -> str:
    """Return the text without NUL and with `?` for lone surrogates; D-Bus allows neither.

    The bus disconnects a client that sends NUL. Names of files and devices may contain both.
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def check_text(body: Sequence[object]) -> None:
    """Raise InvalidOption for an argument of a command line that is not UTF-8, which the bus does not carry."""
    for value in body:
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidOption(f"{shown(value)!r} is not valid UTF-8 text: check the encoding of the name.")
