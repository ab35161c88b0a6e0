"""State that outlives this process within a login: handled texts, the last text, and texts that reached no window."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from coldvoxd.core.text_formats import json_value
from coldvoxd.typist.errors import RuntimeDirectoryUnusable
from coldvoxd.typist.file_lock import FileLock
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.private import check_private, create_private, make_private

PAIRS = 256
LONGEST = 100_000
"""Maximum number of characters kept for `--last`; the oldest are discarded first."""

Pair = tuple[int, int]


class Ledger:
    """Files that only this user can read, in the runtime directory, which is removed at logout.

    What cannot be written, for example because that file system is full, is kept in this process.
    """

    def __init__(self, directory: Path) -> None:
        """Raises OSError if the directory is accessible to other users."""
        self._directory = directory
        self._unwritten: dict[str, tuple[str, str]] = {}
        """Content and reason, by name, of the files that could not be written."""
        make_private(directory)

    @classmethod
    def in_runtime_directory(cls) -> "Ledger":
        """Return this login's ledger: in XDG_RUNTIME_DIR, or in systemd's directory if only this user can access it.

        Raises OSError.
        """
        base = base_directories.runtime_directory()
        if base is None:
            base = base_directories.usual_runtime_directory()
            check_private(base)
        return cls(base / "coldvox-type")

    def lock(self, name: str) -> Path:
        """Return the path of this login's lock of that name."""
        return self._directory / f"{name}.lock"

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Hold the delivery lock, so that two clients of ours never type at once. Waits for the other.

        The directory is made again if it was removed. Raises RuntimeDirectoryUnusable.
        """
        try:
            make_private(self._directory)
        except OSError as error:
            raise RuntimeDirectoryUnusable(f"texts cannot be kept in {error.filename}: {error.strerror}") from error
        lock = FileLock(self.lock("delivering"))
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @property
    def last_unwritten(self) -> str:
        """Why other processes, such as `--last`, cannot read the last text; empty if they can."""
        _, reason = self._unwritten.get("last", ("", ""))
        return f"texts cannot be kept in {self._directory}: {reason}" if reason else ""

    def knows(self, pair: Pair) -> bool:
        return list(pair) in self._pairs()

    def note(self, pair: Pair) -> None:
        self._write("handled", json.dumps([*self._pairs(), pair][-PAIRS:]))

    def undelivered(self) -> str:
        """Return the text that never reached a window; empty if all did."""
        return self._read("undelivered")

    def last(self) -> str:
        """Return the last text, whatever its outcome; empty if there was none."""
        return self._read("last")

    def note_last(self, text: str) -> None:
        self._write("last", text[-LONGEST:])

    def keep(self, text: str) -> None:
        """Replace the undelivered text by `text`."""
        if text:
            self._write("undelivered", text[-LONGEST:])
        else:
            self._remove("undelivered")

    def add_undelivered(self, text: str) -> None:
        """Append `text` to the undelivered text."""
        older = self.undelivered()
        self.keep(_joined(older, text.strip(" ")) if older else text)

    def settle(self, text: str, rest: str) -> None:
        """Reduce `text`, which was added, to its undelivered `rest`. No effect if it is no longer there."""
        kept, own = self.undelivered(), text.strip(" ")
        if not own:  # spaces, which are kept only if nothing else is
            if not kept.strip(" "):
                self.keep(rest)
            return
        before, found, after = kept.rpartition(own)
        if found:
            alone = not (before.strip() or after.strip())
            self.keep(rest if alone else _joined(before.strip(" "), rest.strip(" "), after.strip(" ")))

    def note_left(self, text: str) -> None:
        """Record that `text`, which was added, was left in the clipboard: the user may have pasted it."""
        self._write("left", text)

    def drop_left(self, text: str = "") -> None:
        """Remove the text that was left in the clipboard from the undelivered text; with `text`, only if it is that one."""
        left = self._read("left")
        if left and text in {"", left}:
            self.settle(left, "")
            self._remove("left")

    def place(self) -> Mapping[str, Any]:
        """Return what `note_place` recorded; empty if nothing."""
        try:
            found = json_value(self._read("place") or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def note_place(self, place: Mapping[str, Any] | None) -> None:
        if place is None:
            self._remove("place")
        else:
            self._write("place", json.dumps(place))

    def _read(self, name: str) -> str:
        if name in self._unwritten:
            return self._unwritten[name][0]
        try:
            return (self._directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _pairs(self) -> list[list[int]]:
        try:
            found = json_value(self._read("handled") or "[]")
        except ValueError:
            return []
        return found if isinstance(found, list) else []

    def _write(self, name: str, content: str) -> None:
        part = self._directory / f"{name}.new"
        try:
            with os.fdopen(create_private(part), "w", encoding="utf-8") as file:
                file.write(content)
            part.replace(self._directory / name)
        except OSError as error:
            self._unwritten[name] = (content, error.strerror or str(error))
            with suppress(OSError):  # a part of it would take the space that is missing
                part.unlink()
        else:
            self._unwritten.pop(name, None)

    def _remove(self, name: str) -> None:
        self._unwritten.pop(name, None)
        (self._directory / name).unlink(missing_ok=True)


def _joined(*parts: str) -> str:
    """Join texts by spaces, except at a line break or another kind of space."""
    text = ""
    for part in filter(None, parts):
        separated = not text or text[-1].isspace() or part[0].isspace()
        text += part if separated else f" {part}"
    return text
