"""The model hub, by huggingface_hub's client: descriptions of files, and their content.

Never imported by the daemon, which has no network. The client is an extra, `coldvoxd[fetch]`. It finds the hub by its own
variable HF_ENDPOINT and an account by its own means; its telemetry is off.

The client's `hf_hub_download` takes a file up again only within one call: it writes to a temporary file that it deletes
at any end. So `download` gives the client's `http_get` a file of ours with what is there already; after a cut, a kill or
a reboot only the rest is asked for.
"""

import contextlib
import errno
import hashlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd import __version__
from coldvoxd.core.errors import ContradictoryHub, FetchFault, HubUnreachable
from coldvoxd.models.published_models import PublishedFile, PublishedModel

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from httpx2 import Response

BLOCK = 256 << 10
"""Bytes that an interruption may lose: the client delivers whole blocks, of 10 MB by default."""
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_REFUSED = {401, 403}
_LOGIN_REQUIRED = 511
"""Network Authentication Required, RFC 6585: for captive portals."""
_PORTAL = "if this network has a login page (a captive portal), log in with a browser; otherwise check the proxy"
_SHA256_DIGITS, _GIT_DIGITS = 64, 40


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub describes it."""

    name: str
    size: int
    etag: str
    """sha256 of the content of a large file, git's name of the blob of a small one, in hex."""
    pinned_sha256: str = ""
    """The hash or its beginning that coldvoxd knows, in hex; empty if it knows none."""

    @property
    def sha256(self) -> str:
        """The complete hash, in hex, if the hub reports it; empty for small files."""
        return self.etag if len(self.etag) == _SHA256_DIGITS else ""

    def fits(self, path: Path) -> bool:
        """Whether a file has this content. Reads all of it."""
        if path.stat().st_size != self.size:
            return False
        sha256 = hashlib.sha256()
        git_blob = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        told = sha256 if self.sha256 else git_blob
        with path.open("rb", buffering=0) as file:
            while block := file.read(4 << 20):
                sha256.update(block)
                if told is git_blob:
                    git_blob.update(block)
        return told.hexdigest() == self.etag and sha256.hexdigest().startswith(self.pinned_sha256)


class Hub:
    """The client. Blocks; one thread."""

    def __init__(self, on_trouble: Callable[[], None] = lambda: None) -> None:
        """`on_trouble` is called when a download is interrupted and the client resumes it, which it tries a few times.

        Raises FetchFault where the client isn't installed.
        """
        # The client reads these when it is imported.
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        try:
            import huggingface_hub
            from httpx2 import Client
            from huggingface_hub import constants
            from huggingface_hub.file_download import http_get
        except ImportError as fault:
            raise FetchFault(
                f"Downloading needs huggingface_hub, which is not installed ({fault}). Install it: "
                f"`pipx inject coldvoxd 'huggingface_hub>=2.4,<3'`, or `{sys.executable} -m pip install "
                "'huggingface_hub>=2.4,<3'`."
            ) from fault
        self._client = huggingface_hub
        self._get = http_get
        self.address = str(constants.ENDPOINT)
        constants.DOWNLOAD_CHUNK_SIZE = BLOCK
        if constants.is_offline_mode():
            raise FetchFault("HF_HUB_OFFLINE is set, so the hub must not be accessed: unset it.")
        client_log = logging.getLogger("huggingface_hub")
        client_log.handlers[:] = [_Trouble(on_trouble)]  # its own writes to stderr
        client_log.setLevel(logging.WARNING)
        huggingface_hub.set_client_factory(
            lambda: Client(follow_redirects=True, timeout=None, event_hooks={"response": [_raise_where_busy]})
        )
        self._check_proxies()

    def _check_proxies(self) -> None:
        """Raise FetchFault if the client cannot use the proxies of the environment. Its address may have a password."""
        try:
            self._client.get_session()
        except ImportError as fault:
            raise FetchFault(
                "The environment names a SOCKS proxy, and socksio, which is needed for that, is not installed. Install it: "
                f"`pipx inject coldvoxd socksio`, or `{sys.executable} -m pip install socksio`."
            ) from fault
        except ValueError as fault:
            raise FetchFault(
                "The environment names a proxy that cannot be used: its address must start with http://, https://, socks5:// "
                "or socks5h://. See the variables ALL_PROXY, HTTPS_PROXY and HTTP_PROXY."
            ) from fault

    def describe(self, model: PublishedModel, file: PublishedFile) -> RemoteFile:
        """The hub's description of a file. Raises FetchFault if it contradicts what coldvoxd knows, or HubUnreachable."""
        with self._translated(model, file.name):
            found = self._client.get_hf_file_metadata(self._url(model, file.name), headers=self._headers())
        what = f"{file.name} of {model.repository}"
        if found.commit_hash is None and not found.etag:
            raise HubUnreachable(f"something else answers for {self.address}: {_PORTAL}")
        if found.commit_hash != model.revision:
            raise FetchFault(
                f"{self.address} serves revision {found.commit_hash} of {model.repository}, not {model.revision}: "
                "it is no faithful mirror; unset or change HF_ENDPOINT."
            )
        if found.size is None or not found.etag or len(found.etag) not in {_SHA256_DIGITS, _GIT_DIGITS}:
            raise FetchFault(f"{self.address} reports neither size nor hash of {what}, so it cannot be checked.")
        if file.size not in {-1, found.size}:
            raise FetchFault(f"{what} has {found.size} bytes on {self.address}; it should have {file.size}.")
        if len(found.etag) == _SHA256_DIGITS and not found.etag.startswith(file.sha256):
            raise FetchFault(f"{what} has the sha256 {found.etag[:8]}... on {self.address}, not {file.sha256}...")
        return RemoteFile(file.name, found.size, found.etag, file.sha256)

    def download(self, model: PublishedModel, file: RemoteFile, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Append the missing rest of the file to `part`, reporting the size of each block once it is on disk.

        Whatever ends it, `part` holds what came, and never more than the size of the file: where the hub sends more, the
        hash decides whether the beginning is the file. Raises HubUnreachable or FetchFault.
        """
        with (
            _Metered(part, file.size, on_bytes) as target,
            contextlib.suppress(_MoreThanAnnounced),
            self._translated(model, file.name),
        ):
            there = target.seek(0, io.SEEK_END)
            if there > file.size:
                there = 0
                target.seek(0)
                target.truncate()
            self._get(
                self._url(model, file.name),
                target,
                resume_size=there,
                # Ranges and hashes are of the file's own bytes.
                headers={**self._headers(), "Accept-Encoding": "identity"},
                expected_size=file.size,
                displayed_filename=file.name,
            )
            os.fsync(target.fileno())

    def _url(self, model: PublishedModel, name: str) -> str:
        return str(self._client.hf_hub_url(model.repository, name, revision=model.revision))

    def _headers(self) -> dict[str, str]:
        found: dict[str, str] = self._client.utils.build_hf_headers(
            library_name="coldvoxd", library_version=__version__
        )
        return found

    @contextlib.contextmanager
    def _translated(self, model: PublishedModel, name: str) -> Iterator[None]:
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        what = f"{name} of {model.repository}"
        try:
            yield
        except _Busy as busy:
            raise HubUnreachable(
                f"{self.address} is busy (HTTP {busy.status})", retry_after_s=busy.retry_after_s
            ) from busy
        except HfHubHTTPError as fault:
            if fault.response.status_code == _LOGIN_REQUIRED:
                raise HubUnreachable(f"the network asks for a login: {_PORTAL}") from fault
            raise self._refusal(fault.response.status_code, what, model) from fault
        except HTTPError as fault:
            raise HubUnreachable(
                f"{self.address} is unreachable, or the connection broke ({_reason(fault)})"
            ) from fault
        except OSError as fault:
            if fault.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise FetchFault(
                    f"The disk is full: no more of {what} could be stored. Make room and pull again; "
                    "what was fetched is kept."
                ) from fault
            if fault.errno is None:  # the client's own check of the length
                raise ContradictoryHub(
                    f"{self.address} sent {what} with another length than it reported; if this network has a login page, "
                    "log in with a browser"
                ) from fault
            raise FetchFault(f"{what} could not be stored: {fault}") from fault

    def _refusal(self, status: int, what: str, model: PublishedModel) -> FetchFault:
        if status in _REFUSED:
            return FetchFault(
                f"{self.address} refuses {what} (HTTP {status}): the repository is private or gone, or its terms must "
                "be accepted first. Log in with an account that may read it (`hf auth login`), or, if you are logged "
                f"in, log in again; look at {self.address}/{model.repository}."
            )
        if status == 404:
            return FetchFault(
                f"{self.address} has no {what} at revision {model.revision[:8]} (HTTP 404): update coldvoxd, or place "
                "the model's directory by hand."
            )
        return FetchFault(f"{self.address} answers HTTP {status} for {what}.")


class _Trouble(logging.Handler):
    """The client logs broken connections and little else; final failures are raised."""

    def __init__(self, on_trouble: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._on_trouble = on_trouble

    def emit(self, record: logging.LogRecord) -> None:
        """Drop the record: its text has addresses with signatures."""
        del record
        self._on_trouble()


class _Busy(Exception):
    """Raise for a busy hub. The client would wait silently for minutes."""

    def __init__(self, status: int, retry_after_s: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after_s = retry_after_s


def _raise_where_busy(response: "Response") -> None:
    if response.status_code in _BUSY:
        text = response.headers.get("Retry-After", "")
        raise _Busy(response.status_code, float(text) if text.isdecimal() else None)


class _MoreThanAnnounced(Exception):
    """The hub sends more than the size of the file."""


class _Metered(io.FileIO):
    """An unbuffered file that reports what was written, so that a kill loses none of it, up to a size.

    `write` raises _MoreThanAnnounced after it has written up to that size.
    """

    def __init__(self, path: Path, most: int, on_bytes: Callable[[int], None]) -> None:
        super().__init__(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
        self._most = most
        self._on_bytes = on_bytes

    def write(self, data: "ReadableBuffer", /) -> int:
        given = memoryview(data)
        rest = given[: max(0, self._most - self.tell())]
        size = len(rest)
        overflows = len(given) > size
        while rest:
            rest = rest[super().write(rest) or 0 :]
        self._on_bytes(size)
        if overflows:
            raise _MoreThanAnnounced
        return size


def _reason(fault: BaseException) -> str:
    return str(fault) or type(fault).__name__
