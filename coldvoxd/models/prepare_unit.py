"""Has the model prepared by the unit coldvoxd-prepare.service, where that was never done: it isn't the daemon's work."""

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
    """Who starts units; raises UnitRefused."""

    async def start(self, unit: str, /) -> None: ...


async def have_prepared(settings: ModelSettings, manager: Callable[[], Manager]) -> None:
    """Once the model is loaded: what is made counts from the next start on. Never raises."""
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
    except (ColdvoxError, OSError):  # gone or changed since it was loaded
        return False
