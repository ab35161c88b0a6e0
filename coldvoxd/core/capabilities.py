"""What this build can do with the loaded model, as the property `Capabilities` lists it.

A client reads it before it uses what an older daemon, or another model, does not have. A new ability is one row here: with a
condition if it depends on the model, which then belongs into EngineStatus, so that a change of the model is published.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from coldvoxd.core.values import EngineStatus

Condition = Callable[[EngineStatus], bool]


def _always(engine: EngineStatus) -> bool:  # noqa: ARG001 - the signature of every condition
    """Do not depend on the model."""
    return True


def _several_languages(engine: EngineStatus) -> bool:
    """Hold if there is more than one language to select."""
    return len(engine.languages) > 1


def _alternatives(engine: EngineStatus) -> bool:
    """Hold if the engine finds other texts."""
    return engine.running.has_alternatives


def _seams(engine: EngineStatus) -> bool:
    """Hold if the engine determines whether a sentence continues."""
    return engine.running.has_seams


def _partials(engine: EngineStatus) -> bool:
    """Hold if the engine can be stopped quickly, so that words during speech delay no text."""
    return engine.running.has_partials


CAPABILITIES: Mapping[str, Condition] = MappingProxyType(
    {
        "alternatives": _alternatives,
        "bind-to-caller": _always,
        "language": _several_languages,
        "max-seconds": _always,
        "partials": _partials,
        "private": _always,
        "provider-devices": _always,
        "seams": _seams,
        "single-utterance": _always,
        "words": _always,
    }
)
"""Condition of each ability, by its name. An option of sessions has the name of the option."""


def capabilities_of(engine: EngineStatus, table: Mapping[str, Condition] = CAPABILITIES) -> list[str]:
    """Return the names of the abilities in this table whose conditions hold, in alphabetical order."""
    return sorted(name for name, holds in table.items() if holds(engine))
