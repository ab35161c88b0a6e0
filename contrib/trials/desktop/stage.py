"""A login in the Debian tree: its session bus, programs in it, and the real daemon with virtual devices on that bus.

Runs in separate mount and process namespaces (see tree.sh), which end with it.
"""

import asyncio
import contextlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from coldvoxd.bus.interface_xml import DICTATION  # noqa: E402 - the checkout's own
from coldvoxd.bus.library import Message, MessageType  # noqa: E402
from coldvoxd.bus.library_name import MODULE  # noqa: E402
from coldvoxd.cli import desktop_entry  # noqa: E402
from coldvoxd.virtual.client import command  # noqa: E402
from tests.support.bus.private_bus import BusClient, BusError  # noqa: E402

PATIENCE_S = 90.0
"""Seconds for a desktop's start on a busy machine."""
RUNTIME = "/run/user/0"
HOME = "/run/home"
CHECKOUT = "/run/coldvoxd"
"""Path of this checkout in the tree, mounted read-only."""
PYTHON = "/run/python"
"""Path of the bus library in the tree; it is pure Python."""
SAMPLES = ROOT / "coldvoxd/data/mini/samples"
SETTINGS = """\
[microphone]
device = "{device}"
[model]
name = "{model}"
provider = "{provider}"
fetch = {fetch}
[notifications]
provider = false
"""


class StageError(Exception):
    """A condition on the stage was not met; the message names it."""


class Stage:
    """The tree with a session bus in it. Use `async with Stage.set_up() as stage`."""

    def __init__(self, tree: Path, stack: contextlib.AsyncExitStack) -> None:
        self.tree = tree
        self.environment: dict[str, str] = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": HOME,
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": RUNTIME,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={RUNTIME}/bus",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "NO_AT_BRIDGE": "1",
            "GTK_A11Y": "none",
        }
        """Environment of programs in the tree."""
        self._stack = stack
        self._daemon: subprocess.Popen[bytes] | None = None
        self._daemon_environment: Mapping[str, str] = {}
        self.bus: BusClient

    @classmethod
    @contextlib.asynccontextmanager
    async def set_up(cls, tree: Path) -> AsyncIterator["Stage"]:
        """Set up mounts and bus; all started processes end with the context."""
        async with contextlib.AsyncExitStack() as stack:
            stage = cls(tree, stack)
            stage._mount()
            stage.start("system-bus", "dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog")
            stage.start(
                "bus", "dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address=unix:path={RUNTIME}/bus"
            )
            await until(lambda: stage.inside(f"{RUNTIME}/bus").exists(), "the session bus")
            stage.bus = await stack.enter_async_context(BusClient(stage.address))
            yield stage

    @property
    def address(self) -> str:
        """Address of the session bus, for programs outside the tree."""
        return f"unix:path={self.inside(RUNTIME)}/bus"

    @property
    def microphone(self) -> Path:
        return self.inside(f"{RUNTIME}/mic")

    @property
    def accelerator(self) -> Path:
        return self.inside(f"{RUNTIME}/gpu")

    def inside(self, path: str) -> Path:
        """Return the outside path of a path in the tree."""
        return self.tree / path.lstrip("/")

    def log(self, name: str) -> Path:
        return self.inside(f"{RUNTIME}/{name}.log")

    def start(self, name: str, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a program in the tree, with its own log."""
        with self.log(name).open("ab") as output:
            process = subprocess.Popen(
                ["chroot", str(self.tree), *arguments],
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._stack.callback(_end, process)
        return process

    def start_typing(self, *options: str) -> "subprocess.Popen[bytes]":
        """Start the checkout's coldvox-type, which types the words into the focused window."""
        return self.start(
            "coldvox-type", "python3", "-B", "-m", "coldvoxd.typist", *options, PYTHONPATH=f"{PYTHON}:{CHECKOUT}"
        )

    def install_coldvoxctl(self) -> None:
        """Install the checkout's coldvoxctl, with the desktop entry that `coldvoxctl setup` installs."""
        programs = self.inside(f"{HOME}/.local/bin")
        programs.mkdir(parents=True)
        program = programs / "coldvoxctl"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={PYTHON}:{CHECKOUT} exec python3 -B -m coldvoxd.cli.main "$@"\n')
        program.chmod(0o755)
        self.environment["PATH"] += f":{HOME}/.local/bin"
        entries = self.inside(f"{HOME}/.local/share/applications")
        entries.mkdir(parents=True, exist_ok=True)
        (entries / desktop_entry.NAME).write_text(desktop_entry.desktop_entry(Path(f"{HOME}/.local/bin")))

    async def type_last(self, text: str, meanwhile: Awaitable[None] | None = None) -> str:
        """Run `coldvox-type --last` for a text that reached no window; return the reported outcome."""
        memory = self.inside(f"{RUNTIME}/coldvox-type")
        memory.mkdir(mode=0o700, exist_ok=True)
        (memory / "undelivered").write_text(text, "utf-8")
        return await self.finish(self.start_typing("--last"), meanwhile)

    async def finish(self, typing: "subprocess.Popen[bytes]", meanwhile: Awaitable[None] | None = None) -> str:
        """Wait for the end of a coldvox-type; return its last line of output."""
        if meanwhile:
            await meanwhile
        await until(lambda: typing.poll() is not None, "the end of coldvox-type", 30)
        return self.log("coldvox-type").read_text("utf-8").splitlines()[-1]

    async def run(self, *arguments: str, **environment: str) -> str:
        """Run a program in the tree; return its output. Raises StageError if it fails."""
        process = await asyncio.create_subprocess_exec(
            "chroot",
            str(self.tree),
            *arguments,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, errors = await process.communicate()
        if process.returncode:
            raise StageError(f"{' '.join(arguments)}: exit code {process.returncode}\n{(output + errors).decode()}")
        return output.decode()

    def launch_daemon(
        self,
        *,
        model: str = "mini",
        provider: str = "cpu",
        device: str = "",
        fetch: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the checkout's daemon on the tree's session bus; it may not be on the bus yet when this returns."""
        settings = self.inside(f"{RUNTIME}/coldvoxd.toml")
        settings.write_text(
            SETTINGS.format(
                device=device or f"virtual:{self.microphone}", model=model, provider=provider, fetch=str(fetch).lower()
            )
        )
        outside = {key: value for key, value in os.environ.items() if key not in {"DISPLAY", "WAYLAND_DISPLAY"}}
        state = self.inside(f"{RUNTIME}/state")
        state.mkdir(exist_ok=True)
        directories = {name: str(state) for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "HOME")}
        outside |= directories | dict(environment or {}) | {"DBUS_SESSION_BUS_ADDRESS": self.address}
        with self.log("coldvoxd").open("ab") as output:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "coldvoxd", "--config", str(settings)],
                cwd=ROOT,
                env=outside,
                stdout=output,
                stderr=output,
            )
        self._stack.callback(_end, self._daemon)

    async def end_daemon(self) -> None:
        """End the daemon as `systemctl stop` does."""
        if self._daemon is not None:
            self._daemon.terminate()
            await asyncio.to_thread(self._daemon.wait)
            self._daemon = None

    async def state(self) -> str:
        """Return the daemon's state, empty if there is no daemon."""
        try:
            return str(await self.bus.get(DICTATION, "State"))
        except BusError:
            return ""

    async def state_is(self, wanted: str) -> None:
        """Wait for this state."""

        async def is_there() -> bool:
            if self._daemon is not None and self._daemon.poll() is not None:
                raise StageError(f"the daemon has ended: {self.log('coldvoxd').read_text(errors='replace')}")
            return await self.state() == wanted

        await until(is_there, f"the daemon {wanted}")

    async def tell(self, stand_in: Path, line: str) -> str:
        """Send a command to a virtual device; return its answer."""
        return await asyncio.to_thread(command, stand_in, line)

    async def ask(self, name: str, path: str, interface: str, member: str, signature: str = "", *body: Any) -> Any:
        """Call any service on the session bus. Raises BusError."""
        return await self.bus.call(member, signature, *body, interface=interface, destination=name, path=path)

    async def ask_all(self, name: str, path: str, interface: str, member: str, signature: str, *body: Any) -> list[Any]:
        """Call like `ask`; return all values of the answer."""
        message = Message(
            destination=name, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        reply = await self.bus._bus.call(message)  # noqa: SLF001 - the tests' client returns one value only
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise BusError(str(reply.error_name), str(reply.body[0]))
        return list(reply.body)

    def _mount(self) -> None:
        shutil.copy("/etc/resolv.conf", self.tree / "etc/resolv.conf")
        for place in ("run", "tmp"):
            _call("mount", "-t", "tmpfs", "tmpfs", str(self.tree / place))
        _call("mount", "-t", "proc", "proc", str(self.tree / "proc"))
        _call("mount", "--rbind", "/dev", str(self.tree / "dev"))
        for place in (RUNTIME, HOME, CHECKOUT, "/run/dbus", "/tmp/.X11-unix", "/tmp/.ICE-unix"):
            self.inside(place).mkdir(parents=True)
        for place in ("/tmp", "/tmp/.X11-unix", "/tmp/.ICE-unix"):
            self.inside(place).chmod(0o1777)
        self.inside(RUNTIME).chmod(0o700)
        _call("mount", "--bind", "-o", "ro", str(ROOT), str(self.inside(CHECKOUT)))
        for module in (importlib.import_module(MODULE), platformdirs):  # what coldvox-type needs beside the checkout
            place = self.inside(f"{PYTHON}/{module.__name__}")
            place.mkdir(parents=True)
            _call("mount", "--bind", "-o", "ro", str(Path(str(module.__file__)).parent), str(place))


async def until(probe: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true result of a function, or of a coroutine that it returns.

    Raises StageError after `patience_s`.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    while True:
        answer = probe()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return answer
        if loop.time() > deadline_s:
            raise StageError(f"did not come to pass within {patience_s:.0f} s: {what}")
        await asyncio.sleep(0.02)


async def settled() -> None:
    """Wait until a desktop has drawn its changes, for pictures: no signal reports the end of drawing."""
    await asyncio.sleep(1.5)


def _call(*arguments: str) -> None:
    subprocess.run(arguments, check=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    process.kill()
    process.wait()
