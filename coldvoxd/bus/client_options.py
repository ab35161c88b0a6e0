"""Options of calls to the daemon, as clients give them and as the bus carries them."""

from collections.abc import Mapping
from typing import TypeAlias

from coldvoxd.bus.library import Variant

Options: TypeAlias = Mapping[str, bool | int | str]
"""Values by the keys of the contract, such as `single-utterance`."""

_TYPES = {bool: "b", int: "u", str: "s"}


def options_body(options: Options) -> dict[str, Variant]:
    """Return the options with their types on the bus."""
    return {key: Variant(_TYPES[type(value)], value) for key, value in options.items()}
