"""Converts text to a form that the bus accepts."""


def bus_text(text: str) -> str:
    """Return the text without NUL and with `?` for lone surrogates; D-Bus allows neither.

    The bus disconnects a client that sends NUL. Names of files and devices may contain both.
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
