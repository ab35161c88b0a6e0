"""Text that the bus carries."""


def bus_text(text: str) -> str:
    """The text without NUL and with `?` for lone surrogates, since D-Bus allows neither.

    The bus throws out whoever sends NUL; names of files and devices may hold anything.
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
