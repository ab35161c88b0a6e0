"""Starts the unit coldvoxd-model.service for a missing model and reports its progress: the daemon has no network."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from coldvoxd.core.errors import ColdvoxError, ModelMissing, UnitRefused
from coldvoxd.core.ports import MissingModel
from coldvoxd.core.sentences import sentences
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import Precision
from coldvoxd.models.catalog import published
from coldvoxd.models.progress import ToldProgress, progress_file, read_progress
from coldvoxd.models.published_models import pull_command

log = logging.getLogger(__name__)

UNIT = "coldvoxd-model.service"
START_AGAIN = "systemctl --user start coldvoxd-model"


class State(Protocol):
    """The state of a unit."""

    @property
    def running(self) -> bool: ...

    @property
    def sub(self) -> str: ...


class Manager(Protocol):
    """Starts units; raises UnitRefused."""

    async def start(self, unit: str, /, *, anew: bool = False) -> None: ...

    async def state(self, unit: str, /) -> State: ...


class ModelFetching:
    """Starts the unit once, when the model is first missing, and watches it from then on. Event loop only.

    What the unit makes of it stands in a file of the unit's own runtime directory.
    """

    def __init__(self, settings: ModelSettings, manager: Callable[[], Manager], progress: Path | None = None) -> None:
        """`manager` is called at the first use."""
        self._settings = settings
        self._precision = Precision.on_cpu(settings.precision)
        self._make_manager = manager
        self._manager: Manager | None = None
        self._file = progress or progress_file()
        self._refused = ""
        self._outdated: ToldProgress | None = None
        """The progress that an earlier run of the unit left in the file."""

    async def look(self, missing: ModelMissing) -> MissingModel:
        """What the daemon reports about the missing model now."""
        if not self._settings.fetch or not self._can_be_fetched():
            return MissingModel(missing, str(missing))
        if self._manager is None:
            self._manager = self._make_manager()
            self._outdated = self._read()
            try:
                await self._manager.start(UNIT, anew=self._another_is_fetched())
                log.info("model %s is missing: started %s to download it", self._settings.name, UNIT)
            except UnitRefused as refusal:
                self._refused = str(refusal)
                log.warning("model %s cannot be downloaded automatically: %s", self._settings.name, refusal)
        if self._refused:
            told = sentences(str(missing), f"It could not be downloaded automatically: {self._refused}")
            return MissingModel(ModelMissing(told), told)
        try:
            state = await self._manager.state(UNIT)
        except UnitRefused as refusal:
            return MissingModel(missing, sentences(str(missing), f"The state of its download is unknown: {refusal}"))
        told_last = self._read()
        if told_last is not None and told_last == self._outdated:
            told_last = None
        return self._running(state, told_last) if state.running else self._ended(told_last)

    def _can_be_fetched(self) -> bool:
        try:
            model = published(self._settings.name)
        except ColdvoxError:
            return False  # a wrong list; the missing model's own message says so
        return model is not None and self._precision in model.files

    def _another_is_fetched(self) -> bool:
        """Whether the unit downloads a model that the settings no longer name. Its files are kept."""
        told = read_progress(self._file) if self._file else None
        return told is not None and told.state not in {"done", "failed"} and not self._is_mine(told)

    def _is_mine(self, told: ToldProgress) -> bool:
        return (told.model, told.precision) == (self._settings.name, str(self._precision))

    def _read(self) -> ToldProgress | None:
        told = read_progress(self._file) if self._file else None
        return told if told is not None and self._is_mine(told) else None

    def _running(self, state: State, told: ToldProgress | None) -> MissingModel:
        fraction = told.fraction if told else 0.0
        size = f" of {size_text(told.total_bytes)}" if told and told.total_bytes else ""
        again = "The next attempt starts within a minute." if state.sub == "auto-restart" else ""
        obstacle = sentences(told.message, again) if told and told.message else ""
        stable = sentences(f"The model {self._settings.name} is being downloaded", obstacle)
        full = (
            f"The model {self._settings.name} is being downloaded: {fraction:.0%}{size}. {obstacle} "
            "Try again when it is complete; `coldvoxctl status` shows the progress."
        )
        return MissingModel(ModelMissing(" ".join(full.split())), stable, fraction)

    def _ended(self, told: ToldProgress | None) -> MissingModel:
        command = pull_command(self._settings.name, self._precision)
        if told is not None and told.state == "failed":
            reason = told.message
        elif told is not None and told.state == "done":
            reason = "The download succeeded, but the model is not in any of the searched directories."
        else:
            reason = "The download ended without a message; see `journalctl --user -u coldvoxd-model`."
        text = sentences(
            f"The model {self._settings.name} could not be downloaded: {reason}",
            f"To retry: `{START_AGAIN}`, or `{command}`.",
        )
        return MissingModel(ModelMissing(text), text)
