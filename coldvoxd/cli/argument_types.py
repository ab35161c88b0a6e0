"""Types of coldvoxctl's arguments. Each raises ArgumentTypeError, which has the value."""

import argparse

from coldvoxd.core import channels, languages
from coldvoxd.core.decoding_options import MOST_ALTERNATIVES


def any_text(text: str) -> str:
    """A text that may be empty, which other arguments may not."""
    return text


def channel(text: str) -> str:
    """A channel as the daemon writes it."""
    try:
        return channels.canonical(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault


def language(text: str) -> str:
    """A language's code as the daemon writes it; the daemon, or the model, says which ones are possible."""
    if not (code := languages.canonical(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is empty; omit the option to use the language in the settings")
    return code


def count(text: str) -> int:
    """A number of tries."""
    number = int(text) if text.isdecimal() else 0
    if not 0 < number <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return number


def number(text: str) -> int:
    """A number of a session or an utterance, which the bus can carry."""
    found = int(text) if text.isdecimal() else 0
    if not 0 < found < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return found


def alternatives(text: str) -> int:
    """A number of other texts."""
    number = int(text) if text.isdecimal() else 0
    if not 0 < number <= MOST_ALTERNATIVES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_ALTERNATIVES}")
    return number


def seconds(text: str) -> int:
    """A number of seconds that the bus can carry."""
    number = int(text) if text.isdecimal() else 0
    if not 0 < number < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds greater than 0")
    return number
