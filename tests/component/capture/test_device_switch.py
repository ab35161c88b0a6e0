"""Switching the microphone of a real daemon: what is spoken meanwhile, and what the command prints."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE, MICROPHONE
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.dictating import Dictating, dictating, lost_words
from tests.support.eventually import eventually
from tests.support.sound.servers import SoundServer
from tests.support.sound.speech import samples

pytestmark = pytest.mark.heavy
ONE, TWO = samples()[:2]


async def reopened(daemon: Dictating) -> int:
    """Return how often audio was lost because the microphone was closed in between."""
    return int((await daemon.client.call("GetMetrics", interface=ENGINE))["gaps"].value.get("reopened", 0))


async def coldvoxctl(bus: PrivateBus, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "coldvoxd.cli.main", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, env=bus.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = (printed.decode() for printed in await process.communicate())
    assert process.returncode is not None
    return process.returncode, out, err


@pytest.mark.parametrize("wanted", ["Twin", "default"])
async def test_nothing_is_lost_of_speech_during_which_another_microphone_is_selected(
    pulse: SoundServer, wanted: str
) -> None:
    pulse.plug_twin()
    async with dictating(pulse, device="mic1") as daemon:
        await daemon.client.call("StartDictation")
        playing = asyncio.create_task(asyncio.to_thread(pulse.play, ONE.path))
        await asyncio.sleep(0)
        await daemon.client.call("SelectDevice", "s", wanted, interface=MICROPHONE)
        assert await daemon.get("Device") == {"default": "Blue Yeti"}.get(wanted, wanted)
        await playing
        assert lost_words(await daemon.client.call("StopDictation"), ONE) == 0
        assert await reopened(daemon) == 0


async def test_a_reload_with_another_microphone_loses_nothing(pulse: SoundServer, tmp_path: Path) -> None:
    pulse.plug_twin()
    settings = tmp_path / "coldvoxd.toml"
    settings.write_text('[microphone]\ndevice = "mic1"\n')
    async with dictating(pulse, config=settings) as daemon:
        await daemon.client.call("StartDictation")
        settings.write_text('[microphone]\ndevice = "mic3"\n')
        playing = asyncio.create_task(asyncio.to_thread(pulse.play, ONE.path))
        await daemon.client.call("Reload", interface=ENGINE)
        await playing
        await daemon.until("Device", "Twin")
        assert lost_words(await daemon.client.call("StopDictation"), ONE) == 0
        assert await reopened(daemon) == 0


async def test_a_reload_reports_no_microphone_that_the_settings_no_longer_name(
    sound: SoundServer, tmp_path: Path
) -> None:
    settings = tmp_path / "coldvoxd.toml"
    settings.write_text('[microphone]\ndevice = "Gone"\n')
    with PrivateBus() as bus:
        async with dictating(sound, bus, config=settings) as daemon:
            await eventually(lambda: "“Gone”" in daemon.log, what="the missing microphone")
            settings.write_text('[microphone]\ndevice = "default"\n')
            assert await coldvoxctl(bus, "reload") == (0, "settings and model reloaded\n", "")
            assert await daemon.get("Device") == "Blue Yeti"


async def test_the_command_prints_the_new_microphone_and_dictation_can_start_at_once(sound: SoundServer) -> None:
    with PrivateBus() as bus:
        async with dictating(sound, bus) as daemon:
            assert await coldvoxctl(bus, "device", "Built-in") == (0, "Built-in Audio\n", "")
            assert not lost_words(await daemon.dictate(sound, TWO, "speaker2"), TWO)
            assert await coldvoxctl(bus, "device", "default") == (0, "Blue Yeti\n", "")
            assert not lost_words(await daemon.dictate(sound, ONE), ONE)
            assert await reopened(daemon) == 0
