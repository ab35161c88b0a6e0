"""How the decoder of a model searches, by the settings and by what suits the model."""

import logging

from coldvoxd.core.decoding_options import DecodingOptions
from coldvoxd.core.errors import SettingsError
from coldvoxd.core.settings import ModelSettings
from coldvoxd.models.catalog import published
from coldvoxd.models.directories import BUNDLED

log = logging.getLogger(__name__)

BUNDLED_TEMPERATURE = 1.1
"""Chosen by contrib/trials/decoding.py; contrib/docs/performance.md has the table."""


def decoding_options_of(settings: ModelSettings) -> DecodingOptions:
    """Return the options for the model that the settings name. Reads the lists of models."""
    return DecodingOptions(settings.beam_size, settings.temperature or temperature_of(settings.name))


def temperature_of(name: str) -> float:
    """Return the temperature that suits the model of this name; 1 if none is known."""
    if name == BUNDLED:
        return BUNDLED_TEMPERATURE
    try:
        model = published(name)
    except SettingsError as error:
        log.warning("%s", error)
        model = None
    return model.temperature if model is not None else 1.0
