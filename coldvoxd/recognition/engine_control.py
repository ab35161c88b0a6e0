"""Implements the bus calls about the engine: set the execution provider, reload the settings, return figures."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import (
    ColdvoxError,
    InvalidOption,
    LoadTimeout,
    NotReady,
    ProviderUnavailable,
    SettingsError,
    shown,
)
from coldvoxd.core.metrics import Figures, GpuFigures, Metrics
from coldvoxd.core.settings import Settings
from coldvoxd.core.values import ChangeReason
from coldvoxd.native.providers import AUTO, CPU, available_providers, full_name, likely_accelerator, short_name
from coldvoxd.recognition.dispatcher import Dispatcher

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 20.0
"""Bus callers time out after 25 s by default; they are answered before that."""


class Engine:
    """Implements EngineControl. Event loop only.

    `load_settings` raises SettingsError. `use_settings` applies new settings other than the model's once the model is
    loaded, and returns the names of those that require a restart.
    """

    def __init__(
        self,
        recognition: Dispatcher,
        metrics: Metrics,
        settings: Settings,
        *,
        load_settings: Callable[[], Settings],
        use_settings: Callable[[Settings], tuple[str, ...]],
        answer_limit_s: float = ANSWER_LIMIT_S,
        gpu_figures: Callable[[], GpuFigures] = GpuFigures,
    ) -> None:
        self._answer_limit_s = answer_limit_s
        self._recognition = recognition
        self._metrics = metrics
        self._settings = settings
        self._provider = settings.model.provider
        """The provider that was requested last."""
        self._load_settings = load_settings
        self._use_settings = use_settings
        self._gpu_figures = gpu_figures
        self._began_s = time.monotonic()
        self.awaiting_restart: tuple[str, ...] = ()
        """Names of the settings whose value in the file takes effect after a restart, such as `microphone.device`."""
        self._changes: set[asyncio.Task[None]] = set()

    async def reload(self) -> None:
        """Read the settings and load the model again. On failure the old settings and model stay in use."""
        try:
            fresh = self._load_settings()
        except SettingsError as error:
            raise InvalidOption(f"{str(error).rstrip('.')}. The settings stay as they were.") from error
        await self._answered_in_time(self._change_all(fresh), "The settings take effect once the model is loaded.")

    async def set_provider(self, provider: str) -> None:
        """Use this provider until the next reload or start; the settings do not change."""
        try:
            name = full_name(_resolved(provider))
        except ProviderUnavailable as error:
            if provider != self._settings.model.provider:  # the settings may name one that ONNX Runtime does not list
                raise InvalidOption(
                    f"There is no execution provider {shown(provider)!r}. Available: "
                    f"{', '.join((AUTO, *available_providers()))}."
                ) from error
            name = ""
        else:
            provider = provider if provider == AUTO else short_name(name)
        status = self._recognition.status
        if status.provider == name and _resolved(provider) == _resolved(self._provider) and not status.degraded:
            return
        await self._answered_in_time(self._change_provider(provider), "`coldvoxctl status` shows the one in use.")

    def reload_soon(self) -> None:
        """Reload in the background, as after SIGHUP; errors are logged."""
        task = asyncio.get_running_loop().create_task(self._reload_logged(), name="reload")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    @property
    def uptime_s(self) -> float:
        """Seconds since this process constructed the engine."""
        return time.monotonic() - self._began_s

    def figures(self) -> Figures:
        return self._metrics.figures(uptime_s=self.uptime_s, resident_bytes=_resident_bytes(), card=self._gpu_figures())

    def close(self) -> None:
        """Cancel reloads and changes in progress."""
        for task in self._changes:
            task.cancel()

    async def _reload_logged(self) -> None:
        try:
            await self.reload()
        except ColdvoxError as error:
            log.error("not reloaded: %s", error)  # noqa: TRY400 - the message is enough

    async def _change_provider(self, provider: str) -> None:
        model = replace(self._settings.model, provider=provider)
        await self._recognition.change(model, ChangeReason.REQUESTED, strictly=provider != AUTO)
        self._provider = provider

    async def _change_all(self, fresh: Settings) -> None:
        try:
            await self._recognition.change(fresh.model, ChangeReason.RELOAD)
        except NotReady:
            if self._recognition.status.ready:
                raise
            self._recognition.look_for(fresh.model)  # there is no old model to keep, so these settings take effect
            self._put_in_force(fresh)
            raise
        self._put_in_force(fresh)

    def _put_in_force(self, fresh: Settings) -> None:
        self._settings, self._provider = fresh, fresh.model.provider
        self.awaiting_restart = self._use_settings(fresh)
        if self.awaiting_restart:
            log.warning("settings reloaded; these require a restart: %s", ", ".join(self.awaiting_restart))
        else:
            log.info("settings reloaded")

    async def _answered_in_time(self, change: Coroutine[Any, Any, None], meanwhile: str) -> None:
        """Make the change. If it exceeds the answer limit, raise LoadTimeout and continue it in the background."""
        task = asyncio.get_running_loop().create_task(change, name="engine change")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        done, _ = await asyncio.wait({task}, timeout=self._answer_limit_s)
        if not done:
            task.add_done_callback(_log_failure)
            raise LoadTimeout(f"The model takes longer than {self._answer_limit_s:.0f} s to load. {meanwhile}")
        await task


def _resolved(provider: str) -> str:
    """Return the provider that `auto` selects on this machine, and any other name unchanged."""
    return (likely_accelerator() or CPU) if provider == AUTO else provider


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the engine is unchanged: %s", error)


def _resident_bytes() -> int:
    """Return the resident memory of this process in bytes, from proc_pid_statm(5)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
