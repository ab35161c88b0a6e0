"""Examples, documented commands and front ends that look at the daemon do not start it: a user may have stopped it.

The service's activation file is replaced by one that records each start.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import BUS_NAME, OBJECT_PATH
from tests.support.bus.private_bus import PrivateBus
from tests.support.desktop.gjs import called
from tests.support.eventually import PATIENCE_S, eventually_blocking

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "contrib/examples"
PAGES = (ROOT / "README.md", ROOT / "contrib/docs/command-line.md", EXAMPLES / "README.md")
WIDGET = ROOT / "contrib/desktop/plasma/org.coldvox.dictation/contents/ui"
COLDVOXCTL = Path(sys.executable).with_name("coldvoxctl")

pytestmark = pytest.mark.programs("jq", "busctl", "gjs", "gdbus")


def documented() -> list[str]:
    """Return the pages' busctl commands that read a property, each in one line."""
    text = "\n".join(page.read_text("utf-8").replace("\\\n", " ") for page in PAGES)
    return sorted({line for line in text.splitlines() if line.startswith("busctl") and " Get ss " in line})


class Trap:
    """A bus on which a start of the daemon is recorded instead."""

    def __init__(self, bus: PrivateBus, record: Path) -> None:
        self.bus = bus
        self._record = record

    @property
    def started(self) -> bool:
        return self._record.exists()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    record, services = tmp_path / "started", tmp_path / "services"
    services.mkdir()
    (services / f"{BUS_NAME}.service").write_text(f"[D-BUS Service]\nName={BUS_NAME}\nExec=/usr/bin/touch {record}\n")
    with PrivateBus([services]) as bus:
        bus.extra_environment["PATH"] = f"{COLDVOXCTL.parent}:{bus.environment['PATH']}"
        yield Trap(bus, record)


async def run(trap: Trap, command: str, until: str = "") -> str:
    """Run a shell command to its end, or until it has printed `until`; return its output."""
    process = await asyncio.create_subprocess_shell(
        command,
        env=trap.bus.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = ""
    async with asyncio.timeout(PATIENCE_S):
        while (not until or until not in output) and (part := await process.stdout.read(4096)):
            output += part.decode()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)  # also a process that the shell is just starting
    await process.communicate()
    return output


async def test_get_property_starts_it_so_the_trap_works(trap: Trap) -> None:
    """Busctl ignores --auto-start=no there, as of systemd 252; a call's activation is what the other tests exclude."""
    await run(trap, f"busctl --user call {BUS_NAME} {OBJECT_PATH} org.freedesktop.DBus.Peer Ping")
    eventually_blocking(lambda: trap.started, what="the start")


@pytest.mark.parametrize("line", documented())
async def test_documented_looks_do_not(trap: Trap, line: str) -> None:
    assert BUS_NAME in await run(trap, line)  # in the error: the daemon is not running
    assert not trap.started


def test_no_page_example_or_tool_uses_get_property() -> None:
    assert all(" Get ss " in page.read_text("utf-8") for page in PAGES)
    files = [*PAGES, *EXAMPLES.iterdir(), *(ROOT / "contrib").glob("*.sh"), *(ROOT / "contrib/docs").rglob("*.md")]
    used = {
        file.name
        for file in files
        if re.search(r"^[^#]*busctl\b.* get-property ", file.read_text("utf-8"), re.MULTILINE)
    }
    assert used == set()


@pytest.mark.parametrize(
    ("command", "until"),
    [
        (f"{EXAMPLES}/waybar.sh", '"alt":"away"'),
        (f"{EXAMPLES}/dictate.js", "coldvoxd is not here"),
        (f"{COLDVOXCTL} status", ""),
        (f"{COLDVOXCTL} metrics", ""),
        (f"{COLDVOXCTL} devices", ""),
        (f"{COLDVOXCTL} stop", ""),
        (f"{COLDVOXCTL} cancel", ""),
        (f"{COLDVOXCTL} reload", ""),
        (f"{COLDVOXCTL} provider cpu", ""),
        (f"{COLDVOXCTL} listen --json", "daemon-disconnected"),
    ],
)
async def test_programs_that_look_do_not(trap: Trap, command: str, until: str) -> None:
    assert await run(trap, command, until)
    assert not trap.started


async def test_the_widget_listens_to_the_unique_name(trap: Trap, tmp_path: Path) -> None:
    """Gdbus starts the service that it monitors by its well-known name."""
    fifos = {name: f"{tmp_path}/{name}" for name in (":1.4000", BUS_NAME)}
    *writing, reading = called(
        *(("bus", "writing", [fifo, name, OBJECT_PATH]) for name, fifo in fifos.items()),
        ("bus", "reading", [fifos[":1.4000"], "first"]),
    )
    assert "Monitoring signals" in await run(trap, f"({writing[0]}) & sh -c '{reading}'", until="Monitoring signals")
    assert not trap.started
    started = f"until [ -e {tmp_path}/started ]; do sleep 0.05; done; echo it was started"
    assert await run(trap, f"({writing[1]}) & {started}", until="it was started")


def test_the_widget_addresses_only_the_wish_to_dictate_to_the_well_known_name() -> None:
    source = (WIDGET / "Daemon.qml").read_text("utf-8")
    assert re.findall(r"(?:ask|call)\(name, path, \w+, \"(\w+)\"", source) == [
        "ToggleDictationWithOptions",
        "ToggleDictation",
    ]
    assert len(re.findall(r"(?:ask|call)\(name,", source)) == 2
