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


class Preparation:
    """Has the model in use prepared, and each one that a reload puts in its place. Event loop only."""

    def __init__(self, settings: ModelSettings, manager: Manager) -> None:
        self._settings = settings
        self._manager = manager
        self._changed = asyncio.Event()

    def use_settings(self, settings: ModelSettings) -> None:
        """Another model may be in use now."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    async def run(self) -> None:
        """Start the unit where it is needed; ends by cancellation. Call it once the first model is loaded."""
        while True:
            await have_prepared(self._settings, lambda: self._manager)
            await self._changed.wait()
            self._changed.clear()


def _wanted(settings: ModelSettings) -> bool:
    try:
        return is_wanted(find_model(settings.name, cpu_precision(settings)))
    except (ColdvoxError, OSError):  # removed or changed since it was loaded
        return False
