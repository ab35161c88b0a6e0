"""A process that runs out of descriptors leaves JACK's database damaged; the daemon still captures audio."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coldvoxd.audio import jack
from coldvoxd.bus.interface_xml import DICTATION, MICROPHONE
from coldvoxd.capture.device import NO_ANSWER
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import ROOT, daemon
from tests.support.eventually import eventually
from tests.support.sound.jack import in_private_shm, what_is_missing, with_damaged_database
from tests.support.sound.servers import PulseServer, SoundServer, running

pytestmark = pytest.mark.heavy  # CI runs the plain lane in a chroot, where no mount namespace can be made
LIMIT_S = 60.0
"""Time limit in seconds for a program that would otherwise hang indefinitely."""
OPENED_TWICE = """
from coldvoxd.audio.portaudio import PortAudioMicrophone, list_devices
from coldvoxd.core.settings import MicrophoneSettings
import threading
for _ in range(2):
    heard = threading.Event()
    microphone = PortAudioMicrophone(MicrophoneSettings())
    print(microphone.open(lambda chunk: heard.set()).name, flush=True)
    assert heard.wait(20)
    microphone.close()
print(sorted({device.host_api for device in list_devices()}))
"""


@pytest.fixture(autouse=True)
def complete() -> None:
    if missing := what_is_missing():
        pytest.skip(missing)


@pytest.fixture
def pulse() -> Iterator[SoundServer]:
    with running(PulseServer) as server, server.adopted():
        yield server


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


def output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout


@pytest.mark.usefixtures("pulse")
def test_the_microphone_opens_again_and_again_with_a_damaged_database() -> None:
    told = output(with_damaged_database(sys.executable, "-c", OPENED_TWICE))
    assert told.splitlines() == ["Blue Yeti", "Blue Yeti", "['ALSA']"]


@pytest.mark.usefixtures("pulse")
def test_no_database_is_made() -> None:
    made = f"{OPENED_TWICE}\nimport os; print(os.listdir('/dev/shm'))"
    told = output([*in_private_shm(), sys.executable, "-c", made])
    assert told.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("pulse")
async def test_the_daemon_dictates_with_a_damaged_database(bus: PrivateBus, tmp_path: Path) -> None:
    settings = '[model]\nname = "mini"\nprovider = "cpu"\n'
    async with daemon(bus, tmp_path, settings, under=with_damaged_database()) as running, running.client() as client:
        await eventually(lambda: "microphone open: Blue Yeti" in running.log)
        assert await client.get(MICROPHONE, "Problem") == ""
        await client.call("StartDictation")
        assert await client.get(DICTATION, "State") == "listening"


@pytest.mark.usefixtures("pulse")
def test_the_doctor_names_the_database_and_the_remedy() -> None:
    told = output(with_damaged_database(sys.executable, "-m", "coldvoxd.doctor", "microphone"))
    findings = {line["part"]: line for line in map(json.loads, told.splitlines()) if line["kind"] == "Finding"}
    assert findings["jack"]["verdict"] == "warn"
    assert "damaged" in findings["jack"]["text"]
    assert findings["jack"]["remedy"].endswith(f"rm -r /dev/shm/jack_db-{os.getuid()}")
    assert findings["microphone"]["verdict"] != "fail"


@pytest.mark.usefixtures("pulse")
def test_the_doctor_is_silent_about_a_database_that_is_well() -> None:
    asked = f"{jack.CLIENT}\nimport runpy, sys; sys.argv[1:] = ['microphone']; runpy.run_module('coldvoxd.doctor', run_name='__main__')"
    told = output([*in_private_shm(), sys.executable, "-c", asked])
    assert '"jack"' not in told
    assert '"microphone"' in told


async def test_a_device_call_that_hangs_for_long_leads_to_one_new_process(
    bus: PrivateBus, pulse: SoundServer, tmp_path: Path
) -> None:
    settings = '[model]\nname = "mini"\nprovider = "cpu"\n[replacement]\nquiet_s = 0.5\n'
    async with daemon(bus, tmp_path, settings) as running:
        await eventually(lambda: "microphone open: Blue Yeti" in running.log)
        pulse.freeze()
        await eventually(lambda: "stopping for the re-execution" in running.log)
        await eventually(lambda: running.log.count(NO_ANSWER) == 2, what="the hang, logged by the new process")
        pulse.thaw()
        await eventually(lambda: running.log.count("microphone open: Blue Yeti") == 2)
        assert running.log.count("stopping for the re-execution") == 1
