"""Converts text to a form that the bus accepts."""

from collections.abc import Iterable, Mapping

from coldvoxd.bus.library import Variant
from coldvoxd.core.errors import InvalidOption, shown
from coldvoxd.core.visible_text import visible


def bus_text(text: str) -> str:
    """Return the text without NUL and with `?` for lone surrogates; D-Bus allows neither.

    The bus disconnects a client that sends NUL. Names of files and devices may contain both.
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def check_text(body: Iterable[object]) -> None:
    """Raise InvalidOption for an argument of a command line that is not UTF-8, which the bus does not carry.

    The texts may be values of options.
    """
    for value in body:
        if isinstance(value, Mapping):
            check_text(value.values())
        elif isinstance(value, Variant):
            check_text([value.value])
        elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidOption(f"'{visible(shown(value))}' is not valid UTF-8 text: check the encoding of the name.")
