"""Speech that a real daemon and a real typing client turn into the text of a window."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.virtual.client import command
from tests.support.bus.private_bus import BusClient, PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.desktop.typing_client import TypingProcess
from tests.support.desktop.windows import Desktop
from tests.support.sound import pauses
from tests.support.sound.speech import Wave


@dataclass
class Dictation:
    """A daemon and a typing client on one bus."""

    running: RunningDaemon
    typing: TypingProcess
    client: BusClient
    directory: Path

    async def speak(self, wave: Wave) -> str:
        """Dictate a recording in one session; return the text of the session."""
        file = pauses.write(self.directory / "spoken.wav", wave)
        await self.client.call("StartDictation")
        await asyncio.to_thread(command, self.running.microphone, f"SPEAK {file}")
        await asyncio.to_thread(command, self.running.microphone, "SILENCE 300")
        return str(await self.client.call("StopDictation"))


@asynccontextmanager
async def dictation(desktop: Desktop, directory: Path, settings: str) -> AsyncIterator[Dictation]:
    with PrivateBus() as bus:
        # With the default `auto`, a machine that is too busy leaves seams open.
        own = f'{default_settings(bus.directory / "mic")}[dictation]\nseam = "window"\n'
        async with daemon(bus, directory, own) as running, running.client() as client:
            typing = TypingProcess(bus.address, desktop.environment, directory)
            typing.settings.write_text(settings)
            await typing.begin()
            try:
                yield Dictation(running, typing, client, directory)
            finally:
                print("\n".join(typing.told))
                assert typing.end() == 0
