"""Measures a flood of calls to the daemon on both message buses. Run it manually; it takes about two minutes.

Its results belong in contrib/trials/results. One or three programs send calls as fast as the bus accepts them, either without
a reply or with replies that they never read, while another client starts and stops dictation. A third asks the bus itself for
its ID meanwhile: what that takes is the bus's share of the wait.
"""

import asyncio
import contextlib
import itertools
import re
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import BUS_NAME, DICTATION, ENGINE  # noqa: E402 - the checkout's own
from tests.support.bus import broker  # noqa: E402
from tests.support.bus.private_bus import BROKER, DAEMON, BusClient, BusError, PrivateBus  # noqa: E402
from tests.support.bus.raw import BUS, NO_REPLY, RawClient, message, text  # noqa: E402
from tests.support.daemon.process import daemon  # noqa: E402

FLOOD_S = 5.0
ANSWER_LIMIT_S = 30.0
CALL = message("SetProvider", interface=ENGINE, signature="s", body=text("nothing"), flags=NO_REPLY)
MIXED = (
    message("GetMetrics", interface=ENGINE),
    message("Introspect", interface="org.freedesktop.DBus.Introspectable"),
    message("RetryLast", interface=DICTATION),
)
"""Calls whose replies are never read. Bytes 8 to 12 of each are its serial number."""
NO_REPLIES, UNREAD = "no-replies", "unread"
SESSION_BUS = ("--max-bytes", "100000000000000")
"""The limit in bytes of a session bus: session.conf's max_incoming_bytes times its max_connections_per_user."""
DISCONNECTED = re.compile(r"Peer (:1\.\d+) is being disconnected")


def calls(mode: str, first: int) -> bytes:
    """Return 200 calls with these serial numbers."""
    if mode == NO_REPLIES:
        return CALL * 200
    kinds = itertools.cycle(MIXED)
    return b"".join(
        one[:8] + struct.pack("<I", serial) + one[12:]
        for serial, one in zip(range(first, first + 200), kinds, strict=False)
    )


async def send(address: str, mode: str) -> None:
    """Flood the bus from a separate process. Print our unique name, then the number of calls sent."""
    async with RawClient(address) as raw:
        print(raw.name, flush=True)
        sent, until_s = 0, time.monotonic() + FLOOD_S
        with contextlib.suppress(OSError, TimeoutError):  # the bus has disconnected it, or takes no more
            async with asyncio.timeout(FLOOD_S):
                while time.monotonic() < until_s:
                    await raw.send(calls(mode, 100 + sent))
                    sent += 200
        print(sent, flush=True)
        await asyncio.sleep(ANSWER_LIMIT_S)


def _flooder(address: str, mode: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, __file__, address, mode], stdout=subprocess.PIPE, text=True)


async def ask_bus(address: str) -> float:
    """Ask the bus itself for its ID until cancelled; return the longest wait in seconds."""
    longest_s = 0.0
    async with BusClient(address) as client:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                began_s = time.monotonic()
                try:
                    await client.call("GetId", interface=BUS, destination=BUS, path="/org/freedesktop/DBus")
                finally:
                    longest_s = max(longest_s, time.monotonic() - began_s)
                await asyncio.sleep(0.05)
    return longest_s


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
    except (BusError, EOFError, OSError, TimeoutError) as error:
        return f"{longest_s:.2f} s | none ({type(error).__name__})"
    return f"{longest_s:.2f} s | {time.monotonic() - began_s:.2f} s"


async def flood(kind: str, count: int, mode: str) -> str:
    """Return one row of the table."""
    options = SESSION_BUS if kind == BROKER else ()
    with PrivateBus(kind=kind, broker_options=options) as bus, tempfile.TemporaryDirectory() as place:
        async with daemon(bus, Path(place)) as running, running.client() as client, running.client() as listener:
            await listener.subscribe()
            serving = await client.call(
                "GetNameOwner", "s", BUS_NAME, interface=BUS, destination=BUS, path="/org/freedesktop/DBus"
            )
            roles = {serving: "the daemon", client.name: "the one that dictates", listener.name: "a listener"}
            flooders = [_flooder(bus.address, mode) for _ in range(count)]
            asking = asyncio.create_task(ask_bus(bus.address))
            waits = await dictate(client, time.monotonic() + FLOOD_S)
            asking.cancel()
            sent = 0
            for process in flooders:
                assert process.stdout is not None
                roles[process.stdout.readline().strip()] = "a flooder"
                sent += int(process.stdout.readline())
                process.kill()
                process.wait()
                process.stdout.close()
            try:
                bus_wait = f"{await asking:.2f} s"
            except (BusError, EOFError, OSError) as error:
                bus_wait = f"none ({type(error).__name__})"
            lost = ", ".join(roles.get(name, name) for name in DISCONNECTED.findall(bus.log)) or "none"
        return f"| {kind} | {mode} | {count} | {sent} | {waits} | {bus_wait} | {lost} |"


async def main() -> None:
    print(
        "| bus | replies | flooders | calls sent in 5 s | longest StopDictation | first answer afterwards | longest wait for the bus | disconnected |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for mode in (NO_REPLIES, UNREAD):
        for kind in (DAEMON, BROKER) if broker.is_installed() else (DAEMON,):
            for count in (1, 3):
                print(await flood(kind, count, mode), flush=True)


if __name__ == "__main__":
    asyncio.run(send(*sys.argv[1:3]) if len(sys.argv) > 1 else main())
