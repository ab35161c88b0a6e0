"""Options of sessions, retries and files: their types on the bus, and errors for unknown or invalid ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from coldvoxd.bus.library import Variant
from coldvoxd.core import channels, languages
from coldvoxd.core.decoding_options import MOST_ALTERNATIVES
from coldvoxd.core.errors import InvalidOption, NotSupported, shown
from coldvoxd.core.file_values import FileOptions
from coldvoxd.core.values import SessionOptions

OPTION_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "private": "b",
        "bind-to-caller": "b",
        "words": "b",
        "single-utterance": "b",
        "max-seconds": "u",
        "language": "s",
        "partials": "b",
        "alternatives": "u",
    }
)
STOP_OPTION_TYPES: Mapping[str, str] = MappingProxyType({"session": "u"})
RETRY_OPTION_TYPES: Mapping[str, str] = MappingProxyType({"utterance": "u", "language": "s"})
DETAILED_RETRY_OPTION_TYPES: Mapping[str, str] = MappingProxyType({**RETRY_OPTION_TYPES, "alternatives": "u"})
PLANNED_OPTIONS = frozenset({"vocabulary"})
"""Keys of the contract that a later version will support."""
PLANNED_RETRY_OPTIONS = frozenset({"vocabulary"})
FILE_OPTION_TYPES: Mapping[str, str] = MappingProxyType({"words": "b", "channel": "s", "language": "s"})
PLANNED_FILE_OPTIONS = frozenset({"vocabulary"})

_TYPE_NAMES = {"b": "a boolean (b)", "u": "a whole number (u)", "s": "a text (s)"}
_INTEGERS = frozenset("ynqiuxt")
"""All integer types are accepted for an unsigned number: many libraries send a literal as `i` or `x`."""
_LARGEST = (1 << 32) - 1


def parse_options(options: Mapping[str, Variant]) -> SessionOptions:
    """Parse the options of a session. Raises InvalidOption or NotSupported for the first invalid key."""
    _check(options, OPTION_TYPES, PLANNED_OPTIONS)
    values = {key: value.value for key, value in options.items()}
    private = values.get("private", False)
    return SessionOptions(
        private=private,
        bind_to_caller=private or values.get("bind-to-caller", False),
        words=values.get("words", False),
        single_utterance=values.get("single-utterance", False),
        max_seconds=_positive(values, "max-seconds", "omit it to use the limit in the settings"),
        language=_language(values),
        partials=values.get("partials", False),
        alternatives=_alternatives(values),
    )


def session_options_body(options: SessionOptions) -> dict[str, Variant]:
    """Return the options of a session as GetSessionOptions returns them: those that `parse_options` reads back alike."""
    body = {
        "private": Variant("b", options.private),
        "bind-to-caller": Variant("b", options.bind_to_caller),
        "words": Variant("b", options.words),
        "single-utterance": Variant("b", options.single_utterance),
        "partials": Variant("b", options.partials),
    }
    if options.max_seconds:
        body["max-seconds"] = Variant("u", options.max_seconds)
    if options.alternatives:
        body["alternatives"] = Variant("u", options.alternatives)
    if options.language:
        body["language"] = Variant("s", options.language)
    return body


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Options of one retry."""

    utterance: int = 0
    """Retry only this utterance; 0 for any."""
    language: str = ""
    """`auto` or a language's code; empty for the language of the session."""
    alternatives: int = 0
    """Maximum number of other texts."""


def parse_retry_options(options: Mapping[str, Variant], types: Mapping[str, str] = RETRY_OPTION_TYPES) -> RetryOptions:
    """Parse the options of RetryLastWithOptions, or of RetryLastWithDetails with its `types`.

    Raises InvalidOption or NotSupported for the first invalid key. Options that describe how a session listens, or who
    receives its signals, have no meaning for a recognition whose text is only returned, and are invalid.
    """
    for key in options:
        if key in OPTION_TYPES and key not in types:
            known = ", ".join(types)
            raise InvalidOption(f"The option '{key}' is one of a session, not of a retry: omit it. Known are: {known}.")
    _check(options, types, PLANNED_RETRY_OPTIONS)
    values = {key: value.value for key, value in options.items()}
    return RetryOptions(
        _positive(values, "utterance", "omit it to retry any utterance"), _language(values), _alternatives(values)
    )


def parse_stop_options(options: Mapping[str, Variant]) -> int:
    """Return the number of the session that the options of StopDictationWithOptions name; 0 if they name none.

    Raises InvalidOption for the first invalid key.
    """
    _check(options, STOP_OPTION_TYPES, frozenset())
    return _positive({key: value.value for key, value in options.items()}, "session", "omit it to stop any session")


def parse_file_options(options: Mapping[str, Variant]) -> FileOptions:
    """Parse the options of TranscribeFile. Raises the same errors as `parse_options`."""
    _check(options, FILE_OPTION_TYPES, PLANNED_FILE_OPTIONS)
    values = {key: value.value for key, value in options.items()}
    try:
        channel = channels.parse(values.get("channel", str(channels.AUTO)))
    except ValueError as fault:
        raise InvalidOption(f"The option 'channel' {fault}.") from fault
    return FileOptions(words=values.get("words", False), channel=channel, language=_language(values))


def _language(values: Mapping[str, Any]) -> str:
    """Return `auto` or the code that the values name, which need not be one of the model; empty if they name none."""
    text = values.get("language")
    if text is None:
        return ""
    if not (code := languages.canonical(text)):
        raise InvalidOption("The option 'language' is empty: omit it to use the one in the settings.")
    return code


def _alternatives(values: Mapping[str, Any]) -> int:
    return min(_positive(values, "alternatives", "omit it for none"), MOST_ALTERNATIVES)


def _positive(values: Mapping[str, int], key: str, otherwise: str) -> int:
    """Return the value of a key, which must be greater than 0 if it is present; 0 if it is absent."""
    value = values.get(key)
    if value is None:
        return 0
    if not 0 < value <= _LARGEST:
        raise InvalidOption(f"The option '{key}' must be greater than 0 and at most {_LARGEST}; {otherwise}.")
    return value


def _check(options: Mapping[str, Variant], types: Mapping[str, str], planned: frozenset[str]) -> None:
    for key, value in options.items():
        if key in planned:
            raise NotSupported(f"The option '{key}' is not supported by this version yet: omit it.")
        kind = types.get(key)
        if kind is None:
            raise InvalidOption(f"There is no option '{shown(key)}'. Known are: {', '.join(types)}.")
        fits = value.signature in _INTEGERS if kind == "u" else value.signature == kind
        if not fits:
            raise InvalidOption(f"The option '{key}' must be {_TYPE_NAMES[kind]}, not of type '{value.signature}'.")
