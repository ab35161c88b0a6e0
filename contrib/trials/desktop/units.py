"""A stand-in for systemd's user manager on the stage's bus, for pictures: it has one unit, which stays in its state."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stage import Stage

from coldvoxd.bus.library import PropertyAccess, ServiceInterface, dbus_property, method
from coldvoxd.bus.peers.user_units import MANAGER
from coldvoxd.core.values import Precision
from coldvoxd.models.progress import FILE, RUNTIME_DIRECTORY, ToldProgress
from tests.support.bus.library import MessageBus

PATH = "/org/freedesktop/systemd1"
UNIT = f"{PATH}/unit/model"
BYTES = 2_509_000_000
"""Size of the download."""


class Manager(ServiceInterface):
    """Accepts every start."""

    def __init__(self) -> None:
        super().__init__(f"{MANAGER}.Manager")

    @method()
    def StartUnit(self, _unit: "s", _mode: "s") -> "o":  # type: ignore[name-defined]  # noqa: F821, N802 - D-Bus types
        return f"{PATH}/job/1"

    @method()
    def LoadUnit(self, _unit: "s") -> "o":  # type: ignore[name-defined]  # noqa: F821, N802
        return UNIT


class Unit(ServiceInterface):
    """A unit that is installed, in a state."""

    def __init__(self, active: str, sub: str) -> None:
        super().__init__(f"{MANAGER}.Unit")
        self._active, self._sub = active, sub

    @dbus_property(access=PropertyAccess.READ)
    def LoadState(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return "loaded"

    @dbus_property(access=PropertyAccess.READ)
    def ActiveState(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._active

    @dbus_property(access=PropertyAccess.READ)
    def SubState(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._sub


@asynccontextmanager
async def downloading(stage: Stage) -> AsyncIterator["Download"]:
    """Run the stand-in within the context, with a download."""
    async with _manager(stage, Unit("activating", "start")):
        file = stage.inside(stage.environment["XDG_RUNTIME_DIR"]) / "state" / RUNTIME_DIRECTORY / FILE
        try:
            yield Download(file)
        finally:
            file.unlink(missing_ok=True)  # the next download would not count the same progress as its own


@asynccontextmanager
async def typing_service(stage: Stage) -> AsyncIterator[None]:
    """Run the stand-in within the context, with a running coldvox-type."""
    async with _manager(stage, Unit("active", "running")):
        yield


@asynccontextmanager
async def _manager(stage: Stage, unit: Unit) -> AsyncIterator[None]:
    bus = await MessageBus(bus_address=stage.address).connect()
    bus.export(PATH, Manager())
    bus.export(UNIT, unit)
    await bus.request_name(MANAGER)
    try:
        yield
    finally:
        bus.disconnect()


class Download:
    """The file with the progress of the download, as the unit writes it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def reaches(self, model: str, share: float) -> None:
        """Report that this share of the model is downloaded."""
        told = ToldProgress(model, str(Precision.FP32), "fetching", share, round(share * BYTES), BYTES, "")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({name: getattr(told, name) for name in ToldProgress.__slots__}), "utf-8")
