"""State that outlives this process within a login: handled texts, the last text, and texts that reached no window."""

import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from coldvoxd.core.text_formats import json_value
from coldvoxd.typist.dictated import Dictated, whole_text
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
        return pair in self._pairs()

    def note(self, pair: Pair) -> None:
        self._write("handled", json.dumps([*self._pairs(), pair][-PAIRS:]))

    def previous(self, session: int) -> int:
        """Return the number of the session's utterance that was noted last; 0 if none was."""
        return next((utterance for noted, utterance in reversed(self._pairs()) if noted == session), 0)

    def undelivered(self) -> str:
        """Return the texts that never reached a window, joined to whole sentences; empty if all did."""
        return whole_text(self.undelivered_texts())

    def undelivered_texts(self) -> list[Dictated]:
        """Return the texts that never reached a window, the oldest first."""
        content = self._read("undelivered")
        try:
            match json_value(content or "[]"):
                case [*texts]:
                    return [Dictated(**text) for text in texts]
        except (ValueError, TypeError):
            pass
        return [Dictated.whole(content)]  # as an earlier version wrote it

    def last(self) -> str:
        """Return the last text, whatever its outcome; empty if there was none."""
        return self._read("last")

    def note_last(self, text: str) -> None:
        self._write("last", text[-LONGEST:])

    def add_undelivered(self, text: Dictated) -> None:
        """Append `text` to the undelivered texts."""
        self._keep([*self.undelivered_texts(), text])

    def settle(self, pairs: Iterable[Pair]) -> None:
        """Remove these texts from the undelivered ones; no effect on others."""
        settled = set(pairs)
        kept = self.undelivered_texts()
        rest = [text for text in kept if text.pair not in settled]
        if len(rest) < len(kept):
            self._keep(rest)

    def note_left(self, pairs: Iterable[Pair]) -> None:
        """Record that these texts were left in the clipboard: the user may have pasted them."""
        self._write("left", json.dumps([*pairs]))

    def drop_left(self, pairs: Iterable[Pair] = ()) -> None:
        """Remove the texts that were left in the clipboard from the undelivered ones; with `pairs`, only if it is those."""
        left = self._pairs("left")
        if left and [*pairs] in ([], left):
            self.settle(left)
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

    def _keep(self, texts: Sequence[Dictated]) -> None:
        """Replace the undelivered texts."""
        kept = [*texts]
        while len(kept) > 1 and len(whole_text(kept)) > LONGEST:
            del kept[0]
        if kept and len(kept[0].text) > LONGEST:
            kept = [replace(kept[0], text=kept[0].text[-LONGEST:], body=kept[0].text[-LONGEST:], pending="")]
        if kept:
            self._write("undelivered", json.dumps([asdict(text) for text in kept], ensure_ascii=False))
        else:
            self._remove("undelivered")

    def _pairs(self, name: str = "handled") -> list[Pair]:
        try:
            match json_value(self._read(name) or "[]"):
                case [*pairs]:
                    return [(int(session), int(utterance)) for session, utterance in pairs]
        except (ValueError, TypeError):
            pass
        return []

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
