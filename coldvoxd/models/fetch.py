"""Downloads a published model into the cache, verified, and complete or not at all.

Files come into a hidden directory beside the model's, one after the other, and stay there whatever ends the fetch; the
next one asks for the rest. When all have been checked the directory gets the model's name. The daemon never does this: it
has no network, see coldvoxd-model.service.
"""

import contextlib
import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from coldvoxd.core.errors import ContradictoryHub, FetchFault, HubUnreachable, ModelInvalid, ModelMissing
from coldvoxd.core.sentences import clause, sentences
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import Precision
from coldvoxd.models.catalog import known_models, published
from coldvoxd.models.directories import BUNDLED, cache_directory, find_model
from coldvoxd.models.hub import Hub, RemoteFile
from coldvoxd.models.lock import alone
from coldvoxd.models.manifest import FileIdentity, Manifest, damage, identify, read_manifest, write_manifest
from coldvoxd.models.published_models import PublishedModel

T = TypeVar("T")

SPARE_BYTES = 64 << 20
"""Bytes kept free on the disk in addition to the model."""
TRIES = 6
"""Failures in a row, without a byte received, after which a download gives up."""
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
LONGEST_RETRY_AFTER_S = 600.0
"""A download gives up if the hub asks for a longer wait than this."""
CORRUPT_TRIES = 2
"""How often a file is downloaded while its hash is wrong."""


class FetchState(StrEnum):
    STARTING = "starting"
    FETCHING = "fetching"
    WAITING = "waiting"
    """For the hub, the network, or another download of the same model; `message` says which."""
    CHECKING = "checking"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """The progress of a download."""

    model: str
    precision: str
    state: FetchState = FetchState.STARTING
    done_bytes: int = 0
    """Part of `total_bytes`, with the bytes that an earlier download left."""
    total_bytes: int = 0
    """0 while it is unknown."""
    message: str = ""
    """What the download waits for, or what failed."""

    @property
    def fraction(self) -> float:
        """0..1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model that is complete now."""

    directory: Path
    fetched_bytes: int
    """Bytes received by this call; 0 if the model was complete before."""


@dataclass(slots=True)
class Fetch:
    """One download, on the calling thread; `run` it once. `report` is called for each change, many times a second."""

    name: str
    precision: Precision
    report: Callable[[FetchProgress], None] = lambda _: None
    tries: int = TRIES
    _progress: FetchProgress = field(init=False)
    _fetched_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._progress = FetchProgress(self.name, self.precision)

    def run(self) -> Fetched:
        """Blocks until the model is complete.

        Raises HubUnreachable where trying again later may help, FetchFault where something must be done first.
        """
        model = published(self.name)
        if model is None or self.precision not in model.files:
            raise FetchFault(_unpublished(self.name, self.precision, model))
        self._tell(state=FetchState.STARTING)
        cache = cache_directory()
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with alone(cache, self.name, self._wait_for_another):
                try:
                    directory = self._intact(model) or self._complete(model, cache)
                finally:
                    _remove_if_empty(_partial(cache, self.name, model))
        except OSError as fault:
            raise FetchFault(f"The model cannot be stored in {cache}: {fault.strerror or fault}.") from fault
        self._tell(state=FetchState.DONE, message="")
        return Fetched(directory, self._fetched_bytes)

    def _wait_for_another(self) -> None:
        self._tell(state=FetchState.WAITING, message="another coldvoxctl is downloading this model")

    def _intact(self, model: PublishedModel) -> Path | None:
        """The directory of the model if it is complete already, anywhere. Files placed by hand are not verified."""
        try:
            directory = find_model(self.name, self.precision).directory
            manifest = read_manifest(directory)
        except (ModelMissing, ModelInvalid):
            return None
        if manifest is None:
            return directory
        names = [file.name for file in model.files[self.precision]]
        if manifest.revision != model.revision or any(name not in manifest.files for name in names):
            return None
        self._tell(state=FetchState.CHECKING, total_bytes=sum(manifest.files[name].size for name in names))
        whole = not any(damage(directory, manifest, name, self._advance) for name in names)
        return directory if whole else None

    def _complete(self, model: PublishedModel, cache: Path) -> Path:
        """Download the files that are missing or damaged."""
        hub = Hub(self._troubled)
        directory = cache / self.name
        partial = _partial(cache, self.name, model)
        partial.mkdir(exist_ok=True)
        self._tell(state=FetchState.STARTING, done_bytes=0, total_bytes=0)
        remotes = [
            self._patiently(lambda file=file: hub.describe(model, file))  # type: ignore[misc] # the default is bound
            for file in model.files[self.precision]
        ]
        total = sum(remote.size for remote in remotes)
        self._tell(state=FetchState.CHECKING, total_bytes=total)
        wanted = [remote for remote in remotes if not self._has(directory, remote)]

        def there() -> int:
            return total - sum(remote.size - _size(partial, remote) for remote in wanted)

        _check_space(cache, total - there())
        self._tell(state=FetchState.FETCHING)
        for remote in wanted:
            for _ in range(CORRUPT_TRIES):
                self._tell(done_bytes=there())
                if self._fetch_file(hub, model, remote, partial):
                    break
            else:
                raise FetchFault(
                    f"{remote.name} of {model.repository} was damaged in transit: its hash is wrong. Try another network, "
                    "or copy the model's directory here by hand."
                )
        self._tell(state=FetchState.CHECKING)
        identities = {
            remote.name: FileIdentity(remote.size, remote.sha256) if remote.sha256 else identify(partial / remote.name)
            for remote in wanted
        }
        manifest = Manifest(model.repository, model.revision, identities)
        _put_in_place(partial, directory, manifest, [remote.name for remote in remotes])
        for stale in cache.glob(f".{self.name}-*.partial"):
            shutil.rmtree(stale, ignore_errors=True)
        return directory

    def _has(self, directory: Path, remote: RemoteFile) -> bool:
        path = directory / remote.name
        return path.is_file() and remote.fits(path)

    def _fetch_file(self, hub: Hub, model: PublishedModel, remote: RemoteFile, partial: Path) -> bool:
        """Download a file into `partial`, renamed once it is verified; False if its hash is wrong, after deleting it."""
        target, part = partial / remote.name, partial / f"{remote.name}.part"
        if target.is_file() and target.stat().st_size == remote.size:
            return True  # checked by an earlier fetch of this revision
        self._patiently(lambda: hub.download(model, remote, part, self._arrived))
        self._tell(state=FetchState.CHECKING)
        if not remote.fits(part):
            part.unlink()
            self._tell(state=FetchState.WAITING, message=f"{remote.name} was damaged in transit; downloading it again")
            return False
        part.replace(target)
        _sync(partial)
        return True

    def _patiently(self, step: Callable[[], T]) -> T:
        """The result of `step`, repeated while the hub is unreachable."""
        attempt = 0
        while True:
            arrived = self._fetched_bytes
            try:
                return step()
            except HubUnreachable as fault:
                arrives = self._fetched_bytes > arrived and not isinstance(fault, ContradictoryHub)
                attempt = 1 if arrives else attempt + 1
                asked_s = fault.retry_after_s
                if attempt >= self.tries or (asked_s is not None and asked_s > LONGEST_RETRY_AFTER_S):
                    later = f"It asks to wait {asked_s:.0f} s." if asked_s else ""
                    message = sentences(str(fault), later, "Downloaded data is kept; try again later.")
                    raise HubUnreachable(message, retry_after_s=asked_s) from fault
                wait_s = max(asked_s or 0.0, backoff_s(attempt))
                before = self._progress.state
                self._tell(state=FetchState.WAITING, message=f"{clause(str(fault))}; retrying in {wait_s:.0f} s")
                time.sleep(wait_s)
                self._tell(state=before, message="")

    def _arrived(self, size: int) -> None:
        self._fetched_bytes += size
        self._tell(state=FetchState.FETCHING, message="", done_bytes=self._progress.done_bytes + size)

    def _troubled(self) -> None:
        self._tell(state=FetchState.WAITING, message="the connection broke; resuming")

    def _advance(self, size: int) -> None:
        self._tell(done_bytes=max(0, self._progress.done_bytes + size))

    def _tell(self, **changed: object) -> None:
        self._progress = replace(self._progress, **changed)  # type: ignore[arg-type] # fields by name
        self.report(self._progress)


def backoff_s(attempt: int) -> float:
    """Seconds to wait after this many failures in a row: doubling, with jitter, so that clients do not retry together."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def _unpublished(name: str, precision: Precision, model: PublishedModel | None) -> str:
    if name == BUNDLED:
        return f"`{BUNDLED}` is part of coldvoxd and needs no download."
    if model is None:
        known = ", ".join(f"`{known}`" for known in known_models())
        return f"There is no published model {name!r}; there are {known}."
    return f"{name} is published in {' and '.join(map(str, model.files))}, not in {precision}: choose with --precision."


def _partial(cache: Path, name: str, model: PublishedModel) -> Path:
    """The hidden directory of an incomplete download, which the next one resumes."""
    return cache / f".{name}-{model.revision[:12]}.partial"


def _remove_if_empty(partial: Path) -> None:
    with contextlib.suppress(OSError):  # it has data to resume from, or does not exist
        partial.rmdir()


def _size(partial: Path, remote: RemoteFile) -> int:
    """Size of the file in bytes, 0 if it is missing."""
    for path in (partial / remote.name, partial / f"{remote.name}.part"):
        if path.is_file() and path.stat().st_size <= remote.size:
            return path.stat().st_size
    return 0


def _check_space(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if needed and free < needed + SPARE_BYTES:
        raise FetchFault(
            f"The disk is too full: {size_text(needed)} are to be downloaded and {size_text(SPARE_BYTES)} kept free, "
            f"and {place} has {size_text(free)}. Make room, or set XDG_CACHE_HOME to a larger disk."
        )


def _put_in_place(partial: Path, directory: Path, manifest: Manifest, names: list[str]) -> None:
    """Put the files in place: a new directory at once, files of an existing one with the file last that completes it."""
    if not directory.exists():
        write_manifest(partial, manifest)
        _sync(partial)
        partial.rename(directory)
        _sync(directory.parent)
        return
    with contextlib.suppress(ModelInvalid):
        if (known := read_manifest(directory)) is not None and known.revision == manifest.revision:
            manifest = replace(manifest, files={**known.files, **manifest.files})
    missing = {name: identify(directory / name) for name in names if name not in manifest.files}  # checked as they lay
    for name in names:
        if (partial / name).exists():
            (partial / name).replace(directory / name)
    write_manifest(directory, replace(manifest, files={**manifest.files, **missing}))
    _sync(directory)


def _sync(directory: Path) -> None:
    """Flush names and contents, so that they survive a power failure."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
