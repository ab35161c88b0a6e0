"""dbus-broker without systemd: the part of its launcher that a private bus needs.

dbus-broker takes its listening socket and its policy from a controller, over D-Bus messages on a socket pair. Its own
controller, dbus-broker-launch, needs systemd's journal, which tests may not have.
"""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import IO, Any

from dbus_next import Message, MessageType, Variant
from dbus_next._private.unmarshaller import Unmarshaller

PROGRAM = "dbus-broker"
ANY_USER = 0xFFFFFFFF
FIRST = 1
"""Priority of a rule; each list here has one rule only."""
NO_LIMIT = (1 << 64) - 1
_BATCH = "bta(btbs)a(btssssuutt)a(btssssuutt)"
_POLICY = f"(a(u({_BATCH}))a(buu({_BATCH}))a(ss)bs)"


def is_installed() -> bool:
    return shutil.which(PROGRAM) is not None


def start(path: Path, log: IO[bytes]) -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """A broker that listens at `path` and lets every client do everything.

    The socket is its controller, which it ends with.
    """
    controller, theirs = socket.socketpair()
    with socket.socket(socket.AF_UNIX) as listener, theirs:
        listener.bind(str(path))
        listener.listen(128)
        listener.setblocking(False)  # the broker takes connections until there is none left
        process = subprocess.Popen(
            [PROGRAM, "--controller", str(theirs.fileno()), "--machine-id", _machine_id()],
            pass_fds=[theirs.fileno()],
            stdout=log,
            stderr=log,
        )
        controller.settimeout(30)
        controller.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        for _ in range(3):
            _read_line(controller)
        _add_listener(controller, listener)
    return process, controller


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
    socket.send_fds(controller, [call._marshall(negotiate_unix_fd=True)], [listener.fileno()])
    with controller.makefile("rb") as stream:
        answer = Unmarshaller(stream).unmarshall()
    assert answer.message_type is MessageType.METHOD_RETURN, f"{PROGRAM} takes no listener: {answer.error_name}"


def _policy() -> list[Any]:
    """Every user may connect, own any name, and send and receive any message."""
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
