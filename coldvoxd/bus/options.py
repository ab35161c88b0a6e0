"""Options of sessions and files: their types on the bus, and errors for unknown or invalid ones."""

from collections.abc import Mapping
from types import MappingProxyType

from dbus_next import Variant

from coldvoxd.core import channels
from coldvoxd.core.errors import InvalidOption, NotSupported, shown
from coldvoxd.core.values import FileOptions, SessionOptions

OPTION_TYPES: Mapping[str, str] = MappingProxyType(
    {"private": "b", "bind-to-caller": "b", "words": "b", "single-utterance": "b", "max-seconds": "u"}
)
PLANNED_OPTIONS = frozenset({"partials", "language", "vocabulary"})
"""Keys of the contract that a later version will support."""
FILE_OPTION_TYPES: Mapping[str, str] = MappingProxyType({"words": "b", "channel": "s"})
PLANNED_FILE_OPTIONS = frozenset({"language", "vocabulary"})

_TYPE_NAMES = {"b": "a boolean (b)", "u": "an unsigned number (u)", "s": "a text (s)"}


def parse_options(options: Mapping[str, Variant]) -> SessionOptions:
    """Parse the options of a session. Raises InvalidOption or NotSupported for the first invalid key."""
    _check(options, OPTION_TYPES, PLANNED_OPTIONS)
    values = {key: value.value for key, value in options.items()}
    max_seconds = values.get("max-seconds")
    if max_seconds == 0:
        raise InvalidOption(
            "The option 'max-seconds' must be greater than 0; omit it to use the limit in the settings."
        )
    private = values.get("private", False)
    return SessionOptions(
        private=private,
        bind_to_caller=private or values.get("bind-to-caller", False),
        words=values.get("words", False),
        single_utterance=values.get("single-utterance", False),
        max_seconds=max_seconds or 0,
    )


def parse_file_options(options: Mapping[str, Variant]) -> FileOptions:
    """Parse the options of TranscribeFile. Raises the same errors as `parse_options`."""
    _check(options, FILE_OPTION_TYPES, PLANNED_FILE_OPTIONS)
    values = {key: value.value for key, value in options.items()}
    try:
        channel = channels.parse(values.get("channel", str(channels.AUTO)))
    except ValueError as fault:
        raise InvalidOption(f"The option 'channel' {fault}.") from fault
    return FileOptions(words=values.get("words", False), channel=channel)


def _check(options: Mapping[str, Variant], types: Mapping[str, str], planned: frozenset[str]) -> None:
    for key, value in options.items():
        if key in planned:
            raise NotSupported(f"The option '{key}' is not supported by this version yet: omit it.")
        kind = types.get(key)
        if kind is None:
            raise InvalidOption(f"There is no option '{shown(key)}'. Known are: {', '.join(types)}.")
        if value.signature != kind:
            raise InvalidOption(f"The option '{key}' must be {_TYPE_NAMES[kind]}, not of type '{value.signature}'.")
