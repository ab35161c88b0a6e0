"""A socket in front of a real compositor, which hides an interface or turns clients away."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

KEYBOARDS = b"zwp_virtual_keyboard_manager_v1"
_NOTHING = b""


class WaylandProxy:
    """A Wayland display at `path`. Its fields may change while it runs."""

    def __init__(self, path: Path, compositor: Path) -> None:
        self.path = path
        self.hidden = _NOTHING
        """The name of an interface that clients don't see."""
        self.turned_away = 0
        """Number of the next clients whose connection ends at once."""
        self._compositor = compositor
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._ends: list[socket.socket] = [self._listening]
        self._changing = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with self._changing:
            self._closed = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                with self._changing:
                    if self._closed or self.turned_away:
                        self.turned_away = max(0, self.turned_away - 1)
                        client.close()
                        continue
                    server = socket.socket(socket.AF_UNIX)
                    self._ends += [client, server]
                server.connect(str(self._compositor))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                part, descriptors, _, _ = socket.recv_fds(source, 1 << 16, 32)
                if not part:
                    break
                if self.hidden:  # the same length, so that lengths in the message stay right
                    part = part.replace(self.hidden, bytes(len(self.hidden) * [ord("x")]))
                sent = socket.send_fds(sink, [part], descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                sink.sendall(part[sent:])
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wayland_proxy(runtime: Path, display: str, name: str) -> Iterator[WaylandProxy]:
    """Run a proxy of `display` under the name `name` in the runtime directory."""
    proxy = WaylandProxy(runtime / name, runtime / display)
    try:
        yield proxy
    finally:
        proxy.close()
        proxy.path.unlink()
