"""A JACK database that no program of the user gets past, in a /dev/shm that nobody else sees.

As a program, inside that /dev/shm: python -m tests.support.sound.jack COMMAND... damages the database and becomes the command.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

from coldvoxd.audio import jack
from tests.support.eventually import eventually_blocking

ROOT = Path(__file__).parents[3]
HANGS_S = 4.0
"""A healthy database answers in less than a tenth of that."""
_SHORT_OF_DESCRIPTORS = """
import contextlib, ctypes, os, resource
loaded = ctypes.CDLL("libjack.so.0")
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
taken = []
with contextlib.suppress(OSError):
    while True:
        taken.append(os.dup(2))
for descriptor in taken[:2]:
    os.close(descriptor)
"""
"""Leaves two descriptors, enough for two of the three files of JACK's database."""


@functools.cache
def in_private_shm() -> tuple[str, ...]:
    """What goes before a command that is to have a /dev/shm of its own."""
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-current-user", "--keep-caps"]
    )
    return (*unshare, "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")


@functools.cache
def what_is_missing() -> str:
    """Why no damaged database can be had on this machine; empty where one can."""
    try:
        subprocess.run([*in_private_shm(), "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"a mount namespace can't be made: {getattr(error, 'stderr', b'').decode().strip() or error}"
    client = [*in_private_shm(), sys.executable, "-c", jack.CLIENT]
    return "" if subprocess.run(client, capture_output=True, check=False).returncode == 0 else "there is no libjack"


def with_damaged_database(*command: str) -> list[str]:
    """The command in a /dev/shm of its own, with a database that every JACK client hangs in."""
    return [*in_private_shm(), sys.executable, "-m", "tests.support.sound.jack", *command]


def damage() -> None:
    """What a service with LimitNOFILE=20 leaves behind that is killed in its start."""
    starting = subprocess.Popen([sys.executable, "-c", _SHORT_OF_DESCRIPTORS + jack.CLIENT])
    try:
        eventually_blocking((jack.database() / "__db.002").exists, what="a database that is half made")
    finally:
        starting.kill()
        starting.wait()
    assert jack.database_hangs(HANGS_S), f"{jack.database()} is as good as before"


if __name__ == "__main__":
    damage()
    os.execvp(sys.argv[1], sys.argv[1:])
