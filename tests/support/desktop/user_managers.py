"""The variables of a user manager, as systemctl prints them."""

from collections.abc import Mapping
from pathlib import Path


def programs(directory: Path, managers: Mapping[str, str] | None) -> Path:
    """Return a directory with a systemctl that prints what a user manager's prints, or fails if there is none."""
    (directory / "environment").write_text(
        "HOME=/home/someone\n" + "".join(f"{k}={v}\n" for k, v in (managers or {}).items())
    )
    found = directory / "programs"
    found.mkdir(exist_ok=True)
    script = '#!/bin/sh\n[ "$*" = "--user show-environment" ] && cat "${0%/*}/../environment"\n'
    (found / "systemctl").write_text("#!/bin/sh\nexit 1\n" if managers is None else script)
    (found / "systemctl").chmod(0o755)
    return found
