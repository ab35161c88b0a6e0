"""Measures a flood of calls to the daemon on both message buses. Run it manually; it takes about 60 s.

Its results belong in contrib/trials. One or three programs send calls without reply as fast as the bus accepts them,
while another client starts and stops dictation.
"""

import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import BUS_NAME, ENGINE  # noqa: E402 - the checkout's own
from tests.support.bus import broker  # noqa: E402
from tests.support.bus.private_bus import BROKER, DAEMON, BusClient, PrivateBus  # noqa: E402
from tests.support.bus.raw import BUS, NO_REPLY, RawClient, message, text  # noqa: E402
from tests.support.daemon.process import daemon  # noqa: E402

FLOOD_S = 5.0
ANSWER_LIMIT_S = 30.0
CALL = message("SetProvider", interface=ENGINE, signature="s", body=text("nothing"), flags=NO_REPLY)
SESSION_BUS = ("--max-bytes", "100000000000000")
"""The limit in bytes of a session bus: session.conf's max_incoming_bytes times its max_connections_per_user."""
DISCONNECTED = re.compile(r"Peer (:1\.\d+) is being disconnected")


async def send(address: str) -> None:
    """Flood the bus from a separate process. Print our unique name, then the number of calls sent."""
    async with RawClient(address) as raw:
        print(raw.name, flush=True)
        sent, until_s = 0, time.monotonic() + FLOOD_S
        with contextlib.suppress(OSError):  # the bus has disconnected it
            while time.monotonic() < until_s:
                await raw.send(CALL * 200)
                sent += 200
        print(sent, flush=True)
        await asyncio.sleep(ANSWER_LIMIT_S)


def _flooder(address: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, __file__, address], stdout=subprocess.PIPE, text=True)


async def dictate(client: BusClient, until_s: float) -> str:
    """Start and stop until then; return the longest wait for a stop and the wait for a later answer, or the error."""
    longest_s = 0.0
    try:
        async with asyncio.timeout(FLOOD_S + ANSWER_LIMIT_S):
            while time.monotonic() < until_s:
                await client.call("StartDictation")
                began_s = time.monotonic()
                await client.call("StopDictation")
                longest_s = max(longest_s, time.monotonic() - began_s)
            began_s = time.monotonic()
            await client.settle()
    except (EOFError, OSError, TimeoutError) as error:
        return f"{longest_s:.2f} s | none ({type(error).__name__})"
    return f"{longest_s:.2f} s | {time.monotonic() - began_s:.2f} s"


async def flood(kind: str, count: int) -> str:
    """Return one row of the table."""
    options = SESSION_BUS if kind == BROKER else ()
    with PrivateBus(kind=kind, broker_options=options) as bus, tempfile.TemporaryDirectory() as place:
        async with daemon(bus, Path(place)) as running, running.client() as client, running.client() as listener:
            await listener.subscribe()
            serving = await client.call(
                "GetNameOwner", "s", BUS_NAME, interface=BUS, destination=BUS, path="/org/freedesktop/DBus"
            )
            roles = {serving: "the daemon", client.name: "the one that dictates", listener.name: "a listener"}
            flooders = [_flooder(bus.address) for _ in range(count)]
            waits = await dictate(client, time.monotonic() + FLOOD_S)
            sent = 0
            for process in flooders:
                assert process.stdout is not None
                roles[process.stdout.readline().strip()] = "a flooder"
                sent += int(process.stdout.readline())
                process.kill()
                process.wait()
                process.stdout.close()
            lost = ", ".join(roles.get(name, name) for name in DISCONNECTED.findall(bus.log)) or "none"
        return f"| {kind} | {count} | {sent} | {waits} | {lost} |"


async def main() -> None:
    print("| bus | flooders | calls sent in 5 s | longest StopDictation | first answer afterwards | disconnected |")
    print("|---|---|---|---|---|---|")
    for kind in (DAEMON, BROKER) if broker.is_installed() else (DAEMON,):
        for count in (1, 3):
            print(await flood(kind, count), flush=True)


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1]) if len(sys.argv) > 1 else main())
