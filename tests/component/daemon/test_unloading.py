"""A session that finds the model unloaded (`unload_after_s`) loses no word: its audio waits for the model."""

from pathlib import Path

from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import RunningDaemon, daemon, default_settings
from tests.support.daemon.published import plain
from tests.support.eventually import eventually
from tests.support.sound.speech import samples

UNLOADED = "the model left memory"
LOADED = "the CPU fallback is loaded"


async def unloaded(running: RunningDaemon, times: int) -> None:
    await eventually(lambda: running.log.count(UNLOADED) == times, what=f"unloading {times}")


async def test_a_session_that_loads_the_model_again_loses_no_word(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        settings = f"{default_settings(bus.directory / 'mic')}unload_after_s = 0.5\n"
        async with daemon(bus, tmp_path, settings) as running, running.client() as client:
            for times, number in enumerate((0, 2), start=1):
                await unloaded(running, times)
                await client.call("StartDictation")
                await running.speak(samples()[number])
                assert plain(await client.call("StopDictation")) == plain(samples()[number].heard["fp32"])
                assert running.log.count(LOADED) == times
