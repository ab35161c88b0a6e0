"""Finds out whether systemd --user can sandbox a service with user namespaces on this machine. Standard library only."""

import subprocess

LIMIT_S = 20.0
"""Seconds after which a manager that does not answer is taken for one that can."""
NEEDED = (
    "PrivateUsers=yes",
    "PrivateNetwork=yes",
    "PrivateMounts=yes",
    "PrivateDevices=yes",
    "ProtectSystem=strict",
    "ProtectHostname=yes",
    "ProtectKernelModules=yes",
    "CapabilityBoundingSet=",
)
"""The directives of the units that make systemd fail where user namespaces are denied."""
FAILED = range(200, 244)
"""Exit codes with which systemd reports what it could not set up for a process: see systemd.exec(5)."""


def denied() -> bool:
    """Whether a service with these directives cannot be started. False if no manager can be asked."""
    properties = (f"--property={directive}" for directive in NEEDED)
    command = ("systemd-run", "--user", "--quiet", "--collect", "--wait", *properties, "true")
    try:
        done = subprocess.run(  # noqa: S603
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired):  # no systemd, or one that hangs
        return False
    return done.returncode in FAILED
