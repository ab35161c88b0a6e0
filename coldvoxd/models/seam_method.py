"""How sentences continue after a pause with a model, if the settings leave it open."""

import logging

from coldvoxd.core.errors import SettingsError
from coldvoxd.core.seams import SeamMethod
from coldvoxd.models.catalog import published
from coldvoxd.models.directories import BUNDLED

log = logging.getLogger(__name__)


def seam_method_of(name: str) -> SeamMethod:
    """Return the method that suits the model of this name. Reads the lists of models."""
    if name == BUNDLED:
        return SeamMethod.WINDOW
    try:
        model = published(name)
    except SettingsError as error:
        log.warning("%s", error)
        model = None
    return model.seam if model is not None else SeamMethod.WINDOW
