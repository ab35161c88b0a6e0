"""A model hub on the loopback address: answers huggingface_hub's requests like the real one, with faults on request."""

import hashlib
import os
import socket
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from coldvoxd.models.directories import bundled_directory

MODEL = "parakeet-hub"
"""Name of the model that this hub serves: the bundled one's files under a different name."""
REPOSITORY = "coldvox-tests/parakeet-hub-onnx"
REVISION = "0123456789abcdef0123456789abcdef01234567"
CATALOG = f"""\
[{MODEL}]
repository = "{REPOSITORY}"
revision = "{REVISION}"
precisions = ["fp32", "int8"]
"""
FP32 = ("config.json", "vocab.txt", "decoder_joint-model.onnx", "encoder-model.onnx")
INT8 = ("config.json", "vocab.txt", "decoder_joint-model.int8.onnx", "encoder-model.int8.onnx")
REQUESTS_AT_MOST = 500
STALL_AT_MOST_S = 60.0
_BLOCK = 64 << 10


@dataclass(frozen=True)
class Cut:
    """The connection ends after this many bytes."""

    after: int


@dataclass(frozen=True)
class Stall:
    """The download stalls after this many bytes, until the hub ends or `release` is called."""

    after: int


@dataclass(frozen=True)
class Corrupt:
    """One byte in the middle differs."""


@dataclass(frozen=True)
class Whole:
    """Ranges are ignored: the whole file is sent, as by some proxies."""


@dataclass(frozen=True)
class Instead:
    """Another content of another length is sent, as by the login page of a network. Ranges are ignored."""

    content: bytes


@dataclass(frozen=True)
class Status:
    """An answer without content."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    file: str
    range: str
    status: int
    host: str
    authorized: bool
    """Whether it had an account's token."""


HOST, CONTENT_HOST = "127.0.0.1", "127.0.0.2"
"""Addresses, since a minimal machine does not know the name `localhost`."""


class LoopbackHub:
    """Use `with LoopbackHub() as hub`. After REQUESTS_AT_MOST requests it only returns errors."""

    def __init__(self) -> None:
        self.files = {name: (bundled_directory() / name).read_bytes() for name in {*FP32, *INT8}}
        self.repositories = {REPOSITORY: REVISION}
        """Revision by name; each holds the same files."""
        self.revision = ""
        """Revision reported instead of the true one, if set."""
        self.answers: dict[str, deque[Status]] = {}
        """Answers to the next requests for a file, by name, or method and name; `*` for any."""
        self.contents: dict[str, deque[Cut | Stall | Corrupt | Whole | Instead]] = {}
        """Faults of the next downloads of a file, by name."""
        self.sent: Counter[str] = Counter()
        """Bytes of content sent, by name."""
        self.requests: list[Request] = []
        self._released = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"served": self})
        self._server = ThreadingHTTPServer((HOST, 0), handler)
        self._content_server = ThreadingHTTPServer((CONTENT_HOST, 0), handler)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}) for server in self._servers
        ]
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.daemon_threads = True
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
        if kind is not None:
            print("the hub was asked:", *self.requests, sep="\n  ")

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def content_address(self) -> str:
        """Address of large files: another host, as on the real hub, which must not get the account's token."""
        return f"http://{CONTENT_HOST}:{self._content_server.server_port}"

    @property
    def _servers(self) -> tuple[ThreadingHTTPServer, ThreadingHTTPServer]:
        return self._server, self._content_server

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a process with this `home` that knows this hub only; its catalog lists MODEL."""
        (home / "config/coldvoxd").mkdir(parents=True, exist_ok=True)
        (home / "config/coldvoxd/models.toml").write_text(CATALOG)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("COLDVOXD_", "HF_", "XDG_"))}
        return kept | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_DATA_DIRS": str(home / "share"),
            "COLDVOXD_MODEL_NAME": MODEL,
            **self.client_environment,
        }

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables that direct the client here, with short timeouts."""
        return {
            "HF_ENDPOINT": self.address,
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "2",
            "NO_PROXY": f"{HOST},{CONTENT_HOST}",
        }

    def answer(self, file: str, *answers: Status) -> None:
        """Answer the next requests for `file`, or `GET file`, like this; `*` is any."""
        self.answers[file] = deque(answers)

    def spoil(self, file: str, *faults: Cut | Stall | Corrupt | Whole | Instead) -> None:
        """Set the faults of the next downloads of `file`."""
        self.contents[file] = deque(faults)

    def release(self) -> None:
        """End stalled downloads."""
        self._released.set()

    def size(self, names: tuple[str, ...] = FP32) -> int:
        return sum(len(self.files[name]) for name in names)

    def sent_twice(self, names: tuple[str, ...] = FP32) -> int:
        """Return the bytes of content beyond one copy of each file."""
        return sum(self.sent.values()) - self.size(names)

    def next_answer(self, method: str, file: str) -> Status | None:
        with self._lock:
            for queue in map(self.answers.get, (f"{method} {file}", file, "*")):
                if queue:
                    return queue.popleft()
        return None

    def next_content(self, file: str) -> Cut | Stall | Corrupt | Whole | Instead | None:
        with self._lock:
            queue = self.contents.get(file)
            return queue.popleft() if queue else None

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def note_sent(self, file: str, size: int) -> None:
        with self._lock:
            self.sent[file] += size

    def stand_still(self) -> None:
        """Wait during a stalled download."""
        self._released.wait(STALL_AT_MOST_S)


class _Handler(BaseHTTPRequestHandler):
    """Serves `/OWNER/NAME/resolve/REVISION/FILE`, redirecting to `/cdn/FILE` for large files, as on the real hub."""

    protocol_version = "HTTP/1.1"
    served: LoopbackHub
    timeout = STALL_AT_MOST_S

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Print nothing: requests are in LoopbackHub.requests."""

    def _serve(self) -> None:
        hub = self.served
        path = self.path.partition("?")[0]
        file = path.rpartition("/")[2]
        if len(hub.requests) >= REQUESTS_AT_MOST:
            self._answer(file, Status(500))
            return
        repository, _, rest = path.removeprefix("/").partition("/resolve/")
        revision = hub.repositories.get(repository, "")
        if path.startswith("/cdn/"):
            self._content(file, "")
        elif not revision:
            self._answer(file, Status(404, {"X-Error-Code": "RepoNotFound"}))
        elif (fault := hub.next_answer(self.command, file)) is not None:
            self._answer(file, fault)
        elif file not in hub.files or rest != f"{revision}/{file}":
            self._answer(file, Status(404, {"X-Error-Code": "EntryNotFound"}))
        elif file.endswith(".onnx"):
            content = hub.files[file]
            headers = {
                "X-Repo-Commit": hub.revision or revision,
                "X-Linked-Size": str(len(content)),
                "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                "Location": f"{hub.content_address}/cdn/{file}",
            }
            self._answer(file, Status(302, headers))
        else:
            self._content(file, hub.revision or revision)

    def _answer(self, file: str, status: Status) -> None:
        self._note(file, status.code)
        self.send_response(status.code)
        for name, value in status.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _note(self, file: str, status: int) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        asked = self.headers.get("Range", "")
        self.served.note(Request(self.command, file, asked, status, host, "Authorization" in self.headers))

    def _content(self, file: str, revision: str) -> None:
        hub = self.served
        content = hub.files[file]
        fault = hub.next_content(file) if self.command == "GET" else None
        asked = self.headers.get("Range", "")
        ranged = asked and not isinstance(fault, Whole | Instead)
        begin = int(asked.removeprefix("bytes=").partition("-")[0]) if ranged else 0
        if isinstance(fault, Instead):
            content = fault.content
        status = 206 if begin else 200
        self._note(file, status)
        self.send_response(status)
        if not file.endswith(".onnx"):
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            self.send_header("ETag", f'"{blob}"')
            self.send_header("X-Repo-Commit", revision)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self._send(file, content[begin:], fault)

    def _send(self, file: str, content: bytes, fault: Cut | Stall | Corrupt | Whole | Instead | None) -> None:
        hub = self.served
        end = len(content)
        if isinstance(fault, Cut | Stall):
            end = min(end, fault.after)
        if isinstance(fault, Corrupt):
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]
        try:
            for start in range(0, end, _BLOCK):
                block = content[start : min(end, start + _BLOCK)]
                self.wfile.write(block)
                hub.note_sent(file, len(block))
            if isinstance(fault, Stall):
                self.wfile.flush()
                hub.stand_still()
            if isinstance(fault, Cut | Stall):
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
        except OSError:
            self.close_connection = True  # the client is gone


def unreachable_address() -> str:
    """Return an address on which no server listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
