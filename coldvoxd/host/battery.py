"""Battery: whether the machine runs on battery power, as UPower reports it."""

import asyncio
import logging
from collections.abc import Callable

from coldvoxd.bus.peers.upower import UPower
from coldvoxd.core.errors import BusUnavailable

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
"""Bounds of the growing pause between two attempts to connect to the system bus, in seconds."""


class BatteryWatch:
    """Calls `on_battery` on each change. Initially the machine counts as on mains power. Event loop only."""

    def __init__(self, on_battery: Callable[[bool], None]) -> None:
        self._on_battery = on_battery
        self._discharging = False

    async def run(self) -> None:
        """Run until cancelled. Without a system bus or UPower the machine counts as on mains power."""
        pause_s = FIRST_PAUSE_S
        while True:
            upower: UPower | None = None
            try:
                upower = await UPower.open()
                pause_s = FIRST_PAUSE_S
                await upower.watch(self._note)
            except BusUnavailable as fault:
                log.debug("cannot determine whether the machine runs on battery power: %s", fault)
            finally:
                if upower is not None:
                    await upower.close()
            self._note(False)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)

    def _note(self, discharging: bool) -> None:
        if discharging == self._discharging:
            return
        self._discharging = discharging
        log.info("the machine runs on %s", "its battery" if discharging else "mains")
        self._on_battery(discharging)
