"""Directories and files in the runtime directory, which no other user may read or replace."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_private(directory: Path) -> None:
    """Make sure that this is a directory of this user's with mode 0700, made where there is none.

    Raises OSError, with a sentence as its `strerror`, where it is something else: a link, another user's directory, or one
    that others may enter. A link further up counts by what it leads to.
    """
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = os.lstat(directory)
    if stat.S_ISLNK(found.st_mode):
        raise OSError(0, "it is a link: remove it", str(directory))
    if not stat.S_ISDIR(found.st_mode):
        raise OSError(0, "it is no directory: remove it", str(directory))
    if found.st_uid != os.geteuid():
        raise OSError(0, f"it belongs to the user {found.st_uid}: remove it", str(directory))
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(0, f"its mode is {stat.S_IMODE(found.st_mode):04o} instead of 0700: remove it", str(directory))


def create_private(path: Path, flags: int = 0) -> int:
    """A new file of mode 0600 for writing; what had the name before is replaced, and a link never followed.

    Raises OSError.
    """
    path.unlink(missing_ok=True)
    return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
