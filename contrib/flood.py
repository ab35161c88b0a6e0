"""What a flood of calls does to the daemon, on both message buses: by hand, some 30 s; the figures go to contrib/trials.

One client sends calls without wanting answers, as fast as the bus takes them; another starts and stops dictation.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.contract import ENGINE  # noqa: E402 - the checkout's own
from tests.support import broker  # noqa: E402
from tests.support.bus import BROKER, DAEMON, PrivateBus  # noqa: E402
from tests.support.daemon import daemon  # noqa: E402
from tests.support.raw import NO_REPLY, RawClient, message, text  # noqa: E402

FLOOD_S = 5.0
CALL = message("SetProvider", interface=ENGINE, signature="s", body=text("nothing"), flags=NO_REPLY)


async def flood(kind: str) -> str:
    """One row of the table."""
    with PrivateBus(kind=kind) as bus, tempfile.TemporaryDirectory() as place:
        async with daemon(bus, Path(place)) as running, running.client() as client, RawClient(bus.address) as raw:
            sent = 0
            longest_s = 0.0
            until_s = time.monotonic() + FLOOD_S

            async def send() -> None:
                nonlocal sent
                while time.monotonic() < until_s:
                    await raw.send(CALL * 200)
                    sent += 200

            sending = asyncio.create_task(send())
            while not sending.done():
                await client.call("StartDictation")
                began_s = time.monotonic()
                await client.call("StopDictation")
                longest_s = max(longest_s, time.monotonic() - began_s)
            began_s = time.monotonic()
            await client.settle()
            drained_s = time.monotonic() - began_s
        return f"| {kind} | {sent} | {sent / (FLOOD_S + drained_s):.0f}/s | {longest_s:.2f} s | {drained_s:.2f} s |"


async def main() -> None:
    rows = [await flood(kind) for kind in (DAEMON, BROKER) if kind == DAEMON or broker.is_installed()]
    print("| bus | calls sent in 5 s | drained | longest StopDictation | first answer after the flood |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    asyncio.run(main())
