"""Bus activation without systemd: a call to the name starts the service."""

import sys
from pathlib import Path

from tests.support.bus.private_bus import BusClient, PrivateBus

PROGRAM = """
import asyncio
from tests.support.bus.private_bus import ScriptedControl, serve

async def main():
    connection, _, service = await serve(ScriptedControl())
    await service.own_name()
    await connection.wait_until_lost()

asyncio.run(main())
"""


async def test_a_call_starts_the_service_and_is_answered(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    program = tmp_path / "service.py"
    program.write_text(f"import sys; sys.path.insert(0, {str(root)!r})\n{PROGRAM}")
    (tmp_path / "org.coldvox.Daemon1.service").write_text(
        f"[D-BUS Service]\nName=org.coldvox.Daemon1\nExec={sys.executable} {program}\n"
    )
    with PrivateBus([tmp_path]) as bus:
        async with BusClient(bus.address) as client:
            assert await client.call("StartDictation") == 1
            assert await client.get("org.coldvox.Dictation1", "State") == "listening"
