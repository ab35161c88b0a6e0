"""coldvox-type --json whose output cannot be written: texts are delivered, and the end is reported."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from coldvoxd.core.values import SessionOptions
from coldvoxd.typist.ledger import Ledger
from tests.support.bus.private_bus import PrivateBus, running_service

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("device", "code", "said"),
    [
        ("/dev/full", 1, b"Standard output cannot be written: No space left on device.\n"),
        ("a closed pipe", 128 + signal.SIGPIPE, b""),
    ],
)
async def test_output_that_cannot_be_written_ends_the_service(
    tmp_path: Path, device: str, code: int, said: bytes
) -> None:
    tmp_path.chmod(0o700)
    if device == "/dev/full":
        output = os.open(device, os.O_WRONLY)
    else:
        reading, output = os.pipe()
        os.close(reading)
    with PrivateBus() as bus:
        async with running_service(bus) as running:
            environment = {
                **{name: value for name, value in os.environ.items() if "DISPLAY" not in name},
                "DBUS_SESSION_BUS_ADDRESS": bus.address,
                "XDG_RUNTIME_DIR": str(tmp_path),
                "XDG_CONFIG_HOME": str(tmp_path),
                "PATH": "/nonexistent",  # no desktop, and no user manager to ask for one
            }
            command = [sys.executable, "-m", "coldvoxd.typist", "--json"]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=environment, stdout=output, stderr=asyncio.subprocess.PIPE
            )
            os.close(output)
            assert process.stderr is not None
            assert await process.stderr.readline() == b"ready\n"
            assert (await process.stderr.readline()).startswith(b"texts cannot be typed yet: there is no desktop")
            running.control.start(":1.0", SessionOptions(), 0.0)
            running.control.say("A text.")
            running.control.toggle(":1.0", 0.0)
            _, rest = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, rest) == (code, said)
    assert Ledger(tmp_path / "coldvox-type").undelivered() == "A text."
