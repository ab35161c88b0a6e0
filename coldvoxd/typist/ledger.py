"""What outlives this process within a login: which texts were handled, the last one, and those that reached no window."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from coldvoxd.typist.file_lock import FileLock
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.private import check_private, create_private, make_private

PAIRS = 256
LONGEST = 100_000
"""Characters that are kept for `--last`; the oldest go first."""

Pair = tuple[int, int]


class Ledger:
    """Files that only this user can read, in the runtime directory, which ends with the login."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError where the directory is not this user's alone."""
        self._directory = directory
        make_private(directory)

    @classmethod
    def in_runtime_directory(cls) -> "Ledger":
        """Of this login: in XDG_RUNTIME_DIR, or where systemd has the user's, if it is this user's alone. Raises OSError."""
        base = base_directories.runtime_directory()
        if base is None:
            base = base_directories.usual_runtime_directory()
            check_private(base)
        return cls(base / "coldvox-type")

    def lock(self, name: str) -> Path:
        """Where this login's lock of that name is."""
        return self._directory / f"{name}.lock"

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Two of us never type at once: waits for the other."""
        lock = FileLock(self.lock("delivering"))
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def knows(self, pair: Pair) -> bool:
        return list(pair) in self._pairs()

    def note(self, pair: Pair) -> None:
        self._write("handled", json.dumps([*self._pairs(), pair][-PAIRS:]))

    def undelivered(self) -> str:
        """What never reached a window; empty where all did."""
        return self._read("undelivered")

    def last(self) -> str:
        """The last text, whatever became of it; empty where there was none."""
        return self._read("last")

    def note_last(self, text: str) -> None:
        self._write("last", text[-LONGEST:])

    def keep(self, text: str) -> None:
        """`text` is what is undelivered now, and nothing else."""
        if text:
            self._write("undelivered", text[-LONGEST:])
        else:
            (self._directory / "undelivered").unlink(missing_ok=True)

    def add_undelivered(self, text: str) -> None:
        """`text` comes behind what is undelivered."""
        older = self.undelivered()
        self.keep(f"{older} {text.strip()}".strip() if older else text)

    def settle(self, text: str, rest: str) -> None:
        """Of `text`, which was added, only `rest` is still undelivered. Nothing happens where it is gone already."""
        before, found, after = self.undelivered().rpartition(text.strip())
        if found:
            alone = not (before.strip() or after.strip())
            parts = (before.strip(), rest.strip(), after.strip())
            self.keep(rest if alone else " ".join(part for part in parts if part))

    def place(self) -> Mapping[str, Any]:
        """What `note_place` has noted; empty where that is nothing."""
        try:
            found = json.loads(self._read("place") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def note_place(self, place: Mapping[str, Any] | None) -> None:
        if place is None:
            (self._directory / "place").unlink(missing_ok=True)
        else:
            self._write("place", json.dumps(place))

    def _read(self, name: str) -> str:
        try:
            return (self._directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _pairs(self) -> list[list[int]]:
        try:
            found = json.loads((self._directory / "handled").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return []
        return found if isinstance(found, list) else []

    def _write(self, name: str, content: str) -> None:
        part = self._directory / f"{name}.new"
        with os.fdopen(create_private(part), "w", encoding="utf-8") as file:
            file.write(content)
        part.replace(self._directory / name)
