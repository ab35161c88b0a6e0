"""The command socket of the simulators: one line per command, one line per answer."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from coldvoxd.core.errors import CaptureFault


class CommandServer:
    """Listens on a Unix socket of mode 0600. Each connection has a thread, so that one can wait while another acts.

    `obey` receives the command and the rest of its line, returns the answer, and raises ValueError to answer ERROR.
    """

    def __init__(self, path: Path, obey: Callable[[str, str], str]) -> None:
        self._path = path
        self._obey = obey
        self._socket = _bound(path)
        self._socket.listen()
        threading.Thread(target=self._accept, name="virtual-commands", daemon=True).start()

    def close(self) -> None:
        """Stop listening and remove the socket; connections end with their next command."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="virtual-client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw", encoding="utf-8", errors="replace", newline="\n") as lines:
            try:
                for line in lines:
                    command, _, argument = line.strip().partition(" ")
                    lines.write(self._answer(command, argument.strip()) + "\n")
                    lines.flush()
            except OSError:
                return  # the client has disconnected

    def _answer(self, command: str, argument: str) -> str:
        try:
            return self._obey(command, argument)
        except ValueError as error:
            return f"ERROR {' '.join(str(error).split())}"


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(listener.fileno(), 0o600)  # the file gets the socket's mode
        if path.is_socket() and not _answers(path):
            path.unlink()
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise CaptureFault(
            f"the virtual microphone cannot listen on {path} ({error}): is another daemon using it, does its directory "
            "exist, is the path shorter than 108 bytes?"
        ) from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
