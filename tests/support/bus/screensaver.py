"""A desktop's screen saver on the bus, reduced to locking."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from coldvoxd.bus.library import ServiceInterface, method
from coldvoxd.bus.peers.screen_lock import SCREEN_SAVERS
from tests.support.bus.library import MessageBus, close, signal


class ScreenSaver(ServiceInterface):
    """Its signal, and the query whether it is active; `lock` and `unlock` are the user's actions."""

    def __init__(self, name: str, *, active: bool) -> None:
        super().__init__(name)
        self._active = active
        self.unlocks_when_asked = False
        """The change follows at once on the answer, and can arrive with it."""

    @method()  # type: ignore[untyped-decorator]
    def GetActive(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802 - D-Bus's names and types
        active = self._active
        if self.unlocks_when_asked:
            asyncio.get_running_loop().call_soon(self.unlock)
        return active

    @signal()  # type: ignore[untyped-decorator]
    def ActiveChanged(self, active) -> "b":  # type: ignore[no-untyped-def, name-defined]  # noqa: ANN001, F821, N802
        self._active = active
        return active

    def lock(self) -> None:
        self.ActiveChanged(True)

    def unlock(self) -> None:
        self.ActiveChanged(False)


@contextlib.asynccontextmanager
async def screen_saver(
    address: str, name: str = "org.gnome.ScreenSaver", *, active: bool = False
) -> AsyncIterator[ScreenSaver]:
    """Run one desktop's screen saver on this bus within the context."""
    bus = await MessageBus(bus_address=address).connect()
    saver = ScreenSaver(name, active=active)
    bus.export(SCREEN_SAVERS[name], saver)
    await bus.request_name(name)
    try:
        yield saver
    finally:
        await close(bus)
