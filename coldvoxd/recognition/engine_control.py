"""Implements the bus calls about the engine: set the execution provider, reload the settings, return figures."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

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
from coldvoxd.core.provider_names import device_name, short_name, with_device
from coldvoxd.core.recognition_state import ChangeReason
from coldvoxd.core.sentences import sentence, sentences
from coldvoxd.core.settings import Settings
from coldvoxd.native.call_thread import CallThread
from coldvoxd.native.plugins import is_plugin
from coldvoxd.native.providers import AUTO, CPU, available_providers, full_name, likely_accelerator
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.merged_calls import MergedCalls

log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 20.0
"""Bus callers time out after 25 s by default; they are answered before that."""
READ_LIMIT_S = 10.0
"""Seconds for reading the settings: a file system of the network may never respond."""


class Engine:
    """Implements EngineControl. Event loop only.

    `load_settings` runs in a thread and raises SettingsError. `use_settings` applies new settings other than the model's
    once the model is loaded, and returns the names of those that require a restart. `settled` returns when they are in
    effect.
    """

    def __init__(
        self,
        recognition: Dispatcher,
        metrics: Metrics,
        settings: Settings,
        *,
        load_settings: Callable[[], Settings],
        use_settings: Callable[[Settings], tuple[str, ...]],
        settled: Callable[[], Awaitable[None]],
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
        self._settled = settled
        self._gpu_figures = gpu_figures
        self._began_s = time.monotonic()
        self.awaiting_restart: tuple[str, ...] = ()
        """Names of the settings whose value in the file takes effect after a restart, such as `microphone.device`."""
        self._changes: set[asyncio.Task[None]] = set()
        self._reloads = MergedCalls(self._reload, "reload")

    async def reload(self) -> None:
        """Read the settings and load the model again. On failure the old settings and model stay in use.

        Calls that arrive before the settings are read share one reload.
        """
        await self._answered_in_time(self._reloads.request(), "The settings take effect once the model is loaded.")

    async def set_provider(self, provider: str) -> None:
        """Use this provider until the next reload or start; the settings do not change."""
        try:
            name = full_name(_resolved(provider))
        except ProviderUnavailable as error:
            if is_plugin(provider):
                raise InvalidOption(sentence(str(error))) from error
            if provider != self._settings.model.provider:  # the settings may name one that ONNX Runtime does not list
                raise InvalidOption(
                    f"There is no execution provider {shown(provider)!r}. Available: "
                    f"{', '.join((AUTO, *available_providers()))}."
                ) from error
            name = ""
        else:
            provider = provider if provider == AUTO else with_device(short_name(name), device_name(provider))
        status = self._recognition.status
        if status.provider == name and _resolved(provider) == _resolved(self._provider) and not status.degraded:
            return
        change = asyncio.get_running_loop().create_task(self._change_provider(provider), name="engine change")
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        await self._answered_in_time(change, "`coldvoxctl status` shows the one in use.")

    def reload_soon(self) -> None:
        """Reload in the background, as after SIGHUP; errors are logged."""
        _log_once(self._reloads.request(), _log_not_reloaded)

    @property
    def uptime_s(self) -> float:
        """Seconds since this process constructed the engine."""
        return time.monotonic() - self._began_s

    def figures(self) -> Figures:
        return self._metrics.figures(uptime_s=self.uptime_s, resident_bytes=_resident_bytes(), gpu=self._gpu_figures())

    def close(self) -> None:
        """Cancel reloads and changes in progress."""
        self._reloads.close()
        for task in self._changes:
            task.cancel()

    async def _reload(self) -> None:
        try:
            fresh = await self._read_settings()
        except SettingsError as error:
            raise InvalidOption(sentences(str(error), "The settings stay as they were.")) from error
        await self._change_all(fresh)
        await self._settled()

    async def _read_settings(self) -> Settings:
        """Read the settings in a thread: a slow disk must not delay audio. Raises SettingsError."""
        thread = CallThread("settings")
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                return await thread.submit(self._load_settings)
        except TimeoutError:
            raise SettingsError(f"The settings file could not be read within {READ_LIMIT_S:.0f} s.") from None
        finally:
            thread.close()

    async def _change_provider(self, provider: str) -> None:
        model = replace(self._settings.model, provider=provider)
        await self._recognition.change(model, ChangeReason.REQUESTED, strictly=provider != AUTO)
        self._provider = provider

    async def _check_fallback(self) -> None:
        """Return once the fallback engine recognizes in place of a model that cannot be loaded; raise NotReady if none does."""
        try:
            await self._recognition.wait_loaded()
        except NotReady as error:
            raise type(error)(sentences(str(error), "The settings are in force")) from error

    async def _change_all(self, fresh: Settings) -> None:
        try:
            await self._recognition.change(fresh.model, ChangeReason.RELOAD)
        except NotReady as error:
            if self._recognition.status.ready and not self._recognition.status.is_fallback:
                raise type(error)(sentences(str(error), "The settings stay as they were")) from error
            # There is no old model to keep, so these settings take effect, those of the fallback engine too.
            self._recognition.look_for(fresh.model)
            self._put_in_force(fresh)
            await self._check_fallback()
            return
        self._put_in_force(fresh)

    def _put_in_force(self, fresh: Settings) -> None:
        self._settings, self._provider = fresh, fresh.model.provider
        self.awaiting_restart = self._use_settings(fresh)
        if self.awaiting_restart:
            log.warning("settings reloaded; these require a restart: %s", ", ".join(self.awaiting_restart))
        else:
            log.info("settings reloaded")

    async def _answered_in_time(self, change: "asyncio.Task[None]", meanwhile: str) -> None:
        """Wait for the change. If it exceeds the answer limit, raise LoadTimeout; the change continues."""
        done, _ = await asyncio.wait({change}, timeout=self._answer_limit_s)
        if not done:
            _log_once(change, _log_failure)
            raise LoadTimeout(f"The model takes longer than {self._answer_limit_s:.0f} s to load. {meanwhile}")
        await change


def _log_once(change: "asyncio.Task[None]", report: Callable[["asyncio.Task[None]"], None]) -> None:
    """Have `report` called once at the end of the change, however many requests share it."""
    change.remove_done_callback(report)
    change.add_done_callback(report)


def _resolved(provider: str) -> str:
    """Return the provider that `auto` selects on this machine, and any other name unchanged."""
    return (likely_accelerator() or CPU) if provider == AUTO else provider


def _log_failure(change: "asyncio.Task[None]") -> None:
    _log(change, "the engine is unchanged")


def _log_not_reloaded(change: "asyncio.Task[None]") -> None:
    _log(change, "not reloaded")


def _log(change: "asyncio.Task[None]", outcome: str) -> None:
    if not change.cancelled() and (error := change.exception()) is not None:
        log.error("%s: %s", outcome, error, exc_info=None if isinstance(error, ColdvoxError) else error)


def _resident_bytes() -> int:
    """Return the resident memory of this process in bytes, from proc_pid_statm(5)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
