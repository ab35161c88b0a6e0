"""The directory for what accelerators compile, and for measurements of them: the only cache that the daemon writes."""

import os
from pathlib import Path

from coldvoxd.core.errors import SettingsError
from coldvoxd.userdirs.base_directories import APPLICATION, cache_home

NAME = "accelerator"
"""Below coldvoxd's cache directory. `CacheDirectory=` of coldvoxd.service names it too."""
_FOLDERS = ("tensorrt", "tensorrt-rtx", "openvino", "trials")


def accelerator_cache() -> Path | None:
    """The directory, with its folders; None where it cannot be written: everything in it can be computed again."""
    try:
        directory = cache_home() / APPLICATION / NAME
        for folder in _FOLDERS:
            (directory / folder).mkdir(parents=True, exist_ok=True)
    except (OSError, SettingsError):
        return None
    return directory if os.access(directory, os.W_OK) else None
