"""dbus-broker without systemd: the part of its launcher that a private bus needs.

dbus-broker gets its listening socket and its policy from a controller, over D-Bus messages on a socket pair. Its own
controller, dbus-broker-launch, needs systemd's journal, which tests may not have.
"""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from coldvoxd.bus.library import Message, MessageType, Variant, marshalled
from tests.support.bus.library import read_message

PROGRAM = "dbus-broker"
ANY_USER = 0xFFFFFFFF
FIRST = 1
"""Priority of a rule; each list here has one rule only."""
NO_LIMIT = (1 << 64) - 1
_BATCH = "bta(btbs)a(btssssuutt)a(btssssuutt)"
_POLICY = f"(a(u({_BATCH}))a(buu({_BATCH}))a(ss)bs)"


def is_installed() -> bool:
    return shutil.which(PROGRAM) is not None


def start(path: Path, log: IO[bytes], options: Sequence[str] = ()) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """Start a broker that listens at `path` and permits everything to every client.

    The returned socket is the controller's; the broker ends when it is closed. `options` are added to its command line.
    """
    controller, theirs = socket.socketpair()
    reports, its_log = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as listener, theirs, its_log:
        listener.bind(str(path))
        listener.listen(128)
        listener.setblocking(False)  # the broker accepts connections until none is left
        process = subprocess.Popen(
            [
                *(PROGRAM, "--controller", str(theirs.fileno()), "--machine-id", _machine_id()),
                *("--log", str(its_log.fileno()), *options),
            ],
            pass_fds=[theirs.fileno(), its_log.fileno()],
            stdout=log,
            stderr=log,
        )
        threading.Thread(target=_copy, args=(reports, os.dup(log.fileno())), daemon=True).start()
        controller.settimeout(30)
        controller.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        for _ in range(3):
            _read_line(controller)
        _add_listener(controller, listener)
    return process, controller


def _copy(reports: socket.socket, log: int) -> None:
    """Copy the broker's reports, such as disconnected clients, until it ends: it logs to sockets only."""
    with reports, open(log, "ab", buffering=0) as file:
        while data := reports.recv(1 << 16):
            file.write(data)


def _add_listener(controller: socket.socket, listener: socket.socket) -> None:
    call = Message(
        path="/org/bus1/DBus/Broker",
        interface="org.bus1.DBus.Broker",
        member="AddListener",
        signature="ohv",
        body=["/org/bus1/DBus/Listener/0", 0, Variant(_POLICY, _policy())],
        unix_fds=[listener.fileno()],
        serial=1,
    )
    socket.send_fds(controller, [marshalled(call)], [listener.fileno()])
    with controller.makefile("rb") as stream:
        answer = read_message(stream)
    assert answer.message_type is MessageType.METHOD_RETURN, f"{PROGRAM} takes no listener: {answer.error_name}"


def _policy() -> list[Any]:
    """Return a policy in which every user may connect, own any name, and send and receive any message."""
    message = [True, FIRST, "", "", "", "", 0, 0, 0, NO_LIMIT]
    batch = [True, FIRST, [[True, FIRST, True, ""]], [message], [message]]
    return [[[ANY_USER, batch]], [], [], False, ""]


def _machine_id() -> str:
    known = Path("/etc/machine-id")
    text = known.read_text().strip() if known.exists() else ""
    return text if len(text) == 32 else os.urandom(16).hex()


def _read_line(controller: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        received = controller.recv(1)
        assert received, f"{PROGRAM} ended while it was spoken to"
        line += received
    return line
