"""Starts the unit coldvoxd-prepare.service for a model without a prepared form: the daemon itself does not prepare."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from coldvoxd.core.errors import ColdvoxError, UnitRefused
from coldvoxd.core.settings import ModelSettings
from coldvoxd.models import find_model
from coldvoxd.models.cpu_precision import cpu_precision
from coldvoxd.models.prepared_store import is_wanted

log = logging.getLogger(__name__)

UNIT = "coldvoxd-prepare.service"


class Manager(Protocol):
    """Starts units; raises UnitRefused."""

    async def start(self, unit: str, /) -> None: ...


async def have_prepared(settings: ModelSettings, manager: Callable[[], Manager]) -> None:
    """Call once the model is loaded; the form is used from the next start on. Never raises."""
    if not settings.prepare or not await asyncio.to_thread(_wanted, settings):
        return
    try:
        await manager().start(UNIT)
        log.info("model %s is not prepared for this machine: started %s", settings.name, UNIT)
    except UnitRefused as refusal:
        log.info(
            "model %s can be prepared with `coldvoxctl model prepare`, but not automatically: %s",
            settings.name,
            refusal,
        )


def _wanted(settings: ModelSettings) -> bool:
    try:
        return is_wanted(find_model(settings.name, cpu_precision(settings)))
    except (ColdvoxError, OSError):  # removed or changed since it was loaded
        return False
