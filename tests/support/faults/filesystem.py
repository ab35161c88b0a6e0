"""Very small file systems."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BALLAST = "ballast"


@contextmanager
def small_file_system(place: Path, kib: int) -> Iterator[None]:
    """Mount a real file system of `kib` KiB at a new directory. Skip the test if that needs another user."""
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"needs root: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(place: Path) -> None:
    """Use all the space that is left, until `make_room`."""
    with (place / BALLAST).open("ab", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 65536)
            except OSError:
                return


def make_room(place: Path) -> None:
    (place / BALLAST).unlink(missing_ok=True)
