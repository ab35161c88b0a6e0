"""Holds the key that `coldvoxctl shortcut install --hold` binds, in a headless sway, and prints the results.

Runs as a separate process, since sway refuses to run as root: python -m tests.support.desktop.sway_keys.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from coldvoxd.core.errors import NotReady
from coldvoxd.core.values import State
from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import PrivateBus, RunningService, running_service
from tests.support.desktop.windows import SwayDesktop, as_somebody, sway
from tests.support.eventually import eventually

MODIFIERS_DOWN = ("-P", "Super_L", "-M", "logo", "-P", "Alt_L", "-M", "alt")
MODIFIERS_UP = ("-p", "Super_L", "-m", "logo", "-p", "Alt_L", "-m", "alt")
"""Keys and their modifiers, as on a keyboard; wtype's -M and -m alone set only the modifiers."""
LONG = ("-s", "30000")
ENDING_S = 5.0
"""Seconds that wtype gets to end after the release of the key, much less than `LONG`."""
HELD = {
    "alone": (*MODIFIERS_DOWN, "-P", "d", "-s", "3000", "-p", "d", *MODIFIERS_UP),
    "another key meanwhile": (*MODIFIERS_DOWN, "-P", "d", "-s", "1500", "-k", "x", *LONG, "-p", "d", *MODIFIERS_UP),
    "modifiers released first": (*MODIFIERS_DOWN, "-P", "d", "-s", "1500", *MODIFIERS_UP, *LONG, "-p", "d"),
    "tapped": (*MODIFIERS_DOWN, "-k", "d", *MODIFIERS_UP),
}
STALL_S = 2.0
"""Seconds for which sway does not respond while a key is held, more than the repetitions may be late."""
UNTIL_SWAY_ENDS = (*MODIFIERS_DOWN, "-P", "d", *LONG)
"""Arguments of wtype(1). In the second and third case the session must end while the key is still down."""


def command() -> list[str]:
    """Return the command that runs this module as a user that sway accepts."""
    return [*as_somebody(), sys.executable, "-m", "tests.support.desktop.sway_keys"]


async def main(directory: Path) -> None:
    """Print one line of JSON per way of holding the key: number of sessions, and whether it was down at the end."""
    config = directory / "config" / "sway" / "config"
    config.parent.mkdir(parents=True)
    config.write_text("# A person's own.\n")
    with PrivateBus() as bus, sway(directory, f"include {config}", bus.address) as desktop:
        install = [sys.executable, "-m", "coldvoxd.cli.main", "shortcut", "install", "--hold", "--desktop", "sway"]
        async with running_service(bus) as service:
            await asyncio.to_thread(desktop.run, "env", f"XDG_CONFIG_HOME={config.parents[1]}", *install)
            control = service.control
            for name, keys in HELD.items():
                before = len(control.started)
                holding = await asyncio.create_subprocess_exec("wtype", *keys, env=desktop.environment)
                await eventually(lambda before=before: len(control.started) > before, what=name)  # type: ignore[misc]
                await eventually(lambda: control.state is State.IDLE, what=name)
                with suppress(TimeoutError):  # a released key is not down, although wtype may not have ended yet
                    await asyncio.wait_for(holding.wait(), ENDING_S)
                held = holding.returncode is None
                if held:
                    holding.terminate()
                await holding.wait()
                print(json.dumps([name, len(control.started) - before, held]), flush=True)
            print(json.dumps(["sway stalls", *await stalled(desktop, service)]), flush=True)
            control.fault = NotReady("No model is present.")
            async with NotificationService(bus.address) as shown:
                await asyncio.to_thread(desktop.run, "wtype", *HELD["alone"])
                await eventually(lambda: shown.shown)
                print(json.dumps(["refused", *[body[4] for body in shown.shown]]), flush=True)
            control.fault = None
            holding = await asyncio.create_subprocess_exec("wtype", *UNTIL_SWAY_ENDS, env=desktop.environment)
            await eventually(lambda: control.state is State.LISTENING, what="a key held")
            await asyncio.create_subprocess_exec("swaymsg", "exit", env=desktop.environment)
            await eventually(lambda: control.state is State.IDLE, what="the end of sway")
            print(json.dumps(["sway has ended"]), flush=True)
            holding.terminate()
            await holding.wait()


async def stalled(desktop: SwayDesktop, service: RunningService) -> tuple[int, bool]:
    """Hold the key while sway stalls; return the number of sessions, and whether the first outlived the stall."""
    control = service.control
    before = len(control.started)
    holding = await asyncio.create_subprocess_exec("wtype", *UNTIL_SWAY_ENDS, env=desktop.environment)
    await eventually(lambda: control.state is State.LISTENING, what="a key held")
    with desktop.stalled():
        await asyncio.sleep(STALL_S)
    await asyncio.to_thread(desktop.run, "swaymsg", "nop")
    await asyncio.sleep(STALL_S)  # a session that was stopped by mistake is followed by another one
    outlived = control.state is State.LISTENING
    holding.terminate()
    await holding.wait()
    await eventually(lambda: control.state is State.IDLE, what="the release")
    return len(control.started) - before, outlived


if __name__ == "__main__":
    place = Path(tempfile.mkdtemp(prefix="coldvoxd-sway-"))
    try:
        asyncio.run(main(place))
    finally:
        shutil.rmtree(place)
