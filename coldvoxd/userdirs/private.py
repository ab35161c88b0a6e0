"""Directories and files in the runtime directory that no other user can read or replace."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_private(directory: Path) -> None:
    """Make sure that this is a directory of this user with mode 0700, and create it if necessary.

    Raises OSError, with a sentence as its `strerror`, if it is something else: a symbolic link, another user's
    directory, or one with a wider mode. Also raises if its parent directory is missing, which is not created, or if
    another user could replace the directory there. Symbolic links further up in the path are followed.
    """
    _check_surroundings(directory.parent)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    check_private(directory)


def check_private(directory: Path) -> None:
    """Raise OSError, with a sentence as its `strerror`, if this is not a directory of this user with mode 0700."""
    found = os.lstat(directory)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(0, "it is a symbolic link: remove it", str(directory))
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(0, "it is no directory: remove it", str(directory))
    if found.st_uid != os.geteuid():
        raise OSError(0, f"it belongs to the user {found.st_uid}: remove it", str(directory))
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(0, f"its mode is {stat.S_IMODE(found.st_mode):04o} instead of 0700: remove it", str(directory))


def _check_surroundings(directory: Path) -> None:
    """Raise OSError if this is not a directory, or if a user other than this one and root can replace its entries."""
    try:
        found = directory.stat()
    except FileNotFoundError as error:
        raise OSError(0, "the directory does not exist, and it is not created here", str(directory)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(0, "it is no directory", str(directory))
    if found.st_uid not in {0, os.geteuid()}:
        raise OSError(0, f"it belongs to the user {found.st_uid}", str(directory))
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise OSError(0, f"other users may write to it (mode {stat.S_IMODE(found.st_mode):04o})", str(directory))


def create_private(path: Path, flags: int = 0) -> int:
    """Create a file with mode 0600 for writing, replacing an existing one; symbolic links are not followed.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
