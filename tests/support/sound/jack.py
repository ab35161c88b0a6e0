"""A JACK database in which every client of the user hangs, in a private /dev/shm.

Run inside that /dev/shm, `python -m tests.support.sound.jack COMMAND...` damages the database and becomes the command.
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
"""Seconds; a healthy database answers in less than a tenth of that."""
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
    """Return the prefix of a command that needs a private /dev/shm."""
    unshare = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-current-user", "--keep-caps"]
    )
    return (*unshare, "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")


@functools.cache
def what_is_missing() -> str:
    """Return why a damaged database is not available on this machine; empty if it is."""
    try:
        subprocess.run([*in_private_shm(), "true"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"a mount namespace can't be made: {getattr(error, 'stderr', b'').decode().strip() or error}"
    client = [*in_private_shm(), sys.executable, "-c", jack.CLIENT]
    return "" if subprocess.run(client, capture_output=True, check=False).returncode == 0 else "there is no libjack"


def with_damaged_database(*command: str) -> list[str]:
    """Return the command in a private /dev/shm, with a database in which every JACK client hangs."""
    return [*in_private_shm(), sys.executable, "-m", "tests.support.sound.jack", *command]


def damage() -> None:
    """Damage the database like a service with LimitNOFILE=20 that is killed while it starts."""
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
