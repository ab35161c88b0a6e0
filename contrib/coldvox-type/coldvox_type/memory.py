"""What outlives this process within a login: which texts were handled, and those that never reached a window."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coldvoxd.private import create_private, make_private

PAIRS = 256
LONGEST = 100_000
"""Characters that are kept for `--last`; the oldest go first."""

Pair = tuple[int, int]


class Memory:
    """Files that only this user can read, in the runtime directory, which ends with the login."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError where the directory is not this user's alone."""
        self._directory = directory
        make_private(directory)

    @classmethod
    def in_runtime_directory(cls) -> "Memory":
        """Of this login; in a private temporary place where it has none."""
        base = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        return cls(Path(base) / "coldvox-type")

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Two of us never type at once: waits for the other. Blocks."""
        descriptor = os.open(self._directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def knows(self, pair: Pair) -> bool:
        return list(pair) in self._pairs()

    def knows_session(self, session: int) -> bool:
        """Something of it was handled."""
        return any(pair[0] == session for pair in self._pairs())

    def note(self, pair: Pair) -> None:
        self._write("handled", json.dumps([*self._pairs(), pair][-PAIRS:]))

    def undelivered(self) -> str:
        try:
            return (self._directory / "undelivered").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def keep(self, text: str) -> None:
        """`text` is what is undelivered now, and nothing else."""
        if text:
            self._write("undelivered", text[-LONGEST:])
        else:
            (self._directory / "undelivered").unlink(missing_ok=True)

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
