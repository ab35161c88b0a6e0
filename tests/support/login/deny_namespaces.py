"""Runs a command to which the kernel denies what some distributions deny to users.

python deny_namespaces.py users|capabilities COMMAND...

users: no user namespaces, as with kernel.unprivileged_userns_clone=0 of Debian or user.max_user_namespaces=0.
capabilities: user namespaces without capabilities inside them, as AppArmor in Ubuntu since 23.10: no other namespaces, no
mounts, and the bounding set stays as it is.

A filter of system calls, which the command's children inherit. x86_64 only; needs root.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence

PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_CAPBSET_DROP = 22, 2, 24
MOUNT, PRCTL, UNSHARE = 165, 157, 272
"""Numbers of system calls on x86_64."""
CLONE_NEWUSER = 0x10000000
LOAD, AND, EQUAL, SET, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
"""Instructions of the filter: load a word, AND, jump if equal, jump if a bit is set, return."""
NUMBER, FIRST_ARGUMENT = 0, 16
"""Offsets in struct seccomp_data."""
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM

Filter = Sequence[tuple[int, int, int, int]]
"""Instruction, jump if true, jump if false, operand."""

USERS: Filter = (
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 0, 3, UNSHARE),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (SET, 0, 1, CLONE_NEWUSER),
    (RETURN, 0, 0, DENY),
    (RETURN, 0, 0, ALLOW),
)
CAPABILITIES: Filter = (
    (LOAD, 0, 0, NUMBER),
    (EQUAL, 6, 0, MOUNT),
    (EQUAL, 0, 2, UNSHARE),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (SET, 4, 3, CLONE_NEWUSER),
    (EQUAL, 0, 3, PRCTL),
    (LOAD, 0, 0, FIRST_ARGUMENT),
    (EQUAL, 0, 1, PR_CAPBSET_DROP),
    (RETURN, 0, 0, DENY),
    (RETURN, 0, 0, ALLOW),
)


def install(rules: Filter) -> None:
    """Filter the system calls of this process from now on. Raises OSError."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    header = struct.pack("@HP", len(rules), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter cannot be installed")


if __name__ == "__main__":
    install({"users": USERS, "capabilities": CAPABILITIES}[sys.argv[1]])
    os.execvp(sys.argv[2], sys.argv[2:])
