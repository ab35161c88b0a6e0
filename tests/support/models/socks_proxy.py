"""A SOCKS 5 proxy (RFC 1928) on the loopback address, without authentication."""

import contextlib
import select
import socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from types import TracebackType
from typing import Self

_IPV4, _NAME = 1, 3


class SocksProxy:
    """Use `with SocksProxy() as proxy`."""

    def __init__(self) -> None:
        self.connections: list[tuple[str, int]] = []
        """The addresses to which clients asked to be connected."""

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"


class _Handler(BaseRequestHandler):
    proxy: SocksProxy

    def handle(self) -> None:
        client: socket.socket = self.request
        _, methods = client.recv(2)
        client.recv(methods)
        client.sendall(b"\x05\x00")
        *_, kind = client.recv(4)
        host = socket.inet_ntoa(client.recv(4)) if kind == _IPV4 else client.recv(client.recv(1)[0]).decode()
        port = int.from_bytes(client.recv(2), "big")
        self.proxy.connections.append((host, port))
        with socket.create_connection((host, port)) as server:
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            with contextlib.suppress(OSError):
                _relay(client, server)


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Copy both ways until one end closes."""
    other = {client: server, server: client}
    while True:
        for source in select.select([client, server], [], [])[0]:
            if not (data := source.recv(1 << 16)):
                return
            other[source].sendall(data)
