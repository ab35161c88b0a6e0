"""coldvoxctl devices and device."""

import asyncio
import sys
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import BUS_NAME
from coldvoxd.cli.exit_codes import Exit
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import PrivateBus, RunningService


async def run(ctl: Ctl, *arguments: str) -> Result:
    return await (await ctl(*arguments)).ended()


async def test_microphones_are_listed_and_the_one_in_use_is_marked(running: RunningService, ctl: Ctl) -> None:
    shown = await run(ctl, "devices")
    assert shown.exit == Exit.DONE
    assert "* Blue Yeti  (open, follows the desktop's default)\n    mic1\n  Built-in Audio\n" in shown.out
    running.microphone.muted, running.microphone.device_open = True, False
    [listed] = (await run(ctl, "devices", "--json")).objects
    assert listed == {
        "devices": [
            {"name": "mic1", "description": "Blue Yeti", "current": True},
            {"name": "mic2", "description": "Built-in Audio", "current": False},
        ],
        "device": "Blue Yeti",
        "selection": "default",
        "open": False,
        "policy": "always",
        "muted": True,
        "problem": "",
    }


async def test_another_is_chosen(running: RunningService, ctl: Ctl) -> None:
    assert await run(ctl, "device", "Built") == Result(0, "Built-in Audio\n", "")
    assert running.microphone.selection == "mic2"
    assert (await run(ctl, "device", "Blue", "--json")).objects == [{"device": "Blue Yeti"}]


async def test_an_unknown_one_is_wrong_usage(running: RunningService, ctl: Ctl) -> None:
    refused = await run(ctl, "device", "Snowball", "--json")
    assert (refused.exit, refused.error["error"]) == (Exit.USAGE, "InvalidOption")
    assert "no microphone “Snowball”" in refused.error["message"]
    assert running.microphone.device == "Blue Yeti"


async def test_where_there_is_none_the_problem_is_told(running: RunningService, ctl: Ctl) -> None:
    running.microphone.device, running.microphone.devices, running.microphone.problem = "", (), "Plug one in."
    assert (await run(ctl, "devices")).out == "no microphone: Plug one in.\n"
    assert "Plug one in." in (await run(ctl, "status")).out


@pytest.mark.parametrize("arguments", [("device", "Blue"), ("devices",)])
async def test_no_command_about_microphones_starts_a_daemon_that_was_stopped(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    record, services = tmp_path / "started", tmp_path / "services"
    services.mkdir()
    (services / f"{BUS_NAME}.service").write_text(f"[D-BUS Service]\nName={BUS_NAME}\nExec=/usr/bin/touch {record}\n")
    with PrivateBus([services]) as bus:
        command = [sys.executable, "-m", "coldvoxd.cli.main", *arguments]
        process = await asyncio.create_subprocess_exec(*command, env=bus.environment, stderr=asyncio.subprocess.PIPE)
        err = (await process.communicate())[1].decode()
        assert process.returncode == Exit.UNREACHABLE
        assert "coldvoxd is not running: start it with" in err
        assert ("`coldvoxctl config set microphone.device NAME`" in err) == ("Blue" in arguments)
    assert not record.exists()
